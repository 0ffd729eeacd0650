"""ECR's control plane: repositories and what is said of them. Pushing and pulling images is not built and refused by name, so all are empty."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.ecr import operations as operations

service_rules("ecr", ServiceRules(validation_code="InvalidParameterException"))
