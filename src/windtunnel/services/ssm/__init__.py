"""Systems Manager. Built so far: Parameter Store."""

from windtunnel.services.ssm import jobs as jobs
from windtunnel.services.ssm import operations as operations
