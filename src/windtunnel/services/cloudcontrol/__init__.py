"""Cloud Control: one API for the resources of every service, over the same handlers that CloudFormation's stacks use."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.cloudcontrol import jobs as jobs
from windtunnel.services.cloudcontrol import operations as operations

service_rules(
    "cloudcontrol",
    ServiceRules(
        bad_token=("ValidationException", "Invalid next token"),
        unchecked_shapes=frozenset({"NextToken"}),  # ours have an underscore
    ),
)
