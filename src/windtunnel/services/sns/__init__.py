"""Simple Notification Service: topics, and what is subscribed to them."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.sns import jobs as jobs
from windtunnel.services.sns import operations as operations

service_rules(
    "sns",
    ServiceRules(
        validation_code="InvalidParameter",
        access_denied_code="AuthorizationError",
        # The links in messages to endpoints: whoever holds the token, or the subscription's ARN, may follow them.
        unsigned=frozenset({"ConfirmSubscription", "Unsubscribe"}),
        bad_token=("InvalidParameter", "Invalid parameter: NextToken Reason: Invalid next token"),
    ),
)
