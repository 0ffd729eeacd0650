"""CloudFormation's operations (API reference, 2010-05-15), by noun."""

from windtunnel.services.cloudformation.operations import change_sets as change_sets
from windtunnel.services.cloudformation.operations import describing as describing
from windtunnel.services.cloudformation.operations import exports as exports
from windtunnel.services.cloudformation.operations import policies as policies
from windtunnel.services.cloudformation.operations import registry_types as registry_types
from windtunnel.services.cloudformation.operations import resources as resources
from windtunnel.services.cloudformation.operations import signals as signals
from windtunnel.services.cloudformation.operations import stacks as stacks
from windtunnel.services.cloudformation.operations import templates as templates
from windtunnel.services.cloudformation.operations import turning as turning
