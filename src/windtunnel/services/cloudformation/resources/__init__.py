"""The resource types that CloudFormation owns itself."""

from windtunnel.services.cloudformation.resources import cdk as cdk
from windtunnel.services.cloudformation.resources import custom as custom
from windtunnel.services.cloudformation.resources import nested as nested
from windtunnel.services.cloudformation.resources import waiting as waiting
