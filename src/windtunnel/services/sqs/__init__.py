"""Simple Queue Service: standard and FIFO queues."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.sqs import jobs as jobs
from windtunnel.services.sqs import operations as operations
from windtunnel.services.sqs.words import QUERY_CODES

service_rules(
    "sqs",
    ServiceRules(
        validation_code="InvalidParameterValueException",
        query_codes=QUERY_CODES,
        bad_token=("InvalidParameterValueException", "Invalid or expired next token."),
        # AttributeNames of ReceiveMessage is declared with the attributes of queues, and takes those of messages.
        unchecked_shapes=frozenset({"QueueAttributeName", "MessageSystemAttributeName", "MessageSystemAttributeNameForSends"}),
    ),
)
