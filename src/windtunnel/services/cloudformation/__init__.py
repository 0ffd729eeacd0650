"""CloudFormation: templates become stacks whose resources really exist."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.cloudformation import explaining as explaining
from windtunnel.services.cloudformation import jobs as jobs
from windtunnel.services.cloudformation import operations as operations
from windtunnel.services.cloudformation import retention as retention

service_rules(
    "cloudformation",
    ServiceRules(
        validation_code="ValidationError",
        access_denied_code="AccessDenied",
        newer={"DeploymentConfig.Mode": "STANDARD"},  # CDK 2.1148 says so of every deployment
    ),
)
