"""Parameter Store's operations, by noun (Systems Manager API reference, 2014-11-06)."""

from windtunnel.services.ssm.operations import describing as describing
from windtunnel.services.ssm.operations import reading as reading
from windtunnel.services.ssm.operations import settings as settings
from windtunnel.services.ssm.operations import sharing as sharing
from windtunnel.services.ssm.operations import tagging as tagging
from windtunnel.services.ssm.operations import versions as versions
from windtunnel.services.ssm.operations import writing as writing
