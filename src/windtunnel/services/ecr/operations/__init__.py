"""ECR's operations (API reference, 2015-09-21), by noun."""

from windtunnel.services.ecr.operations import images as images
from windtunnel.services.ecr.operations import policies as policies
from windtunnel.services.ecr.operations import registries as registries
from windtunnel.services.ecr.operations import repositories as repositories
from windtunnel.services.ecr.operations import tags as tags
