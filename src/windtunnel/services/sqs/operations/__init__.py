"""SQS's operations, by noun (API reference, 2012-11-05)."""

from windtunnel.services.sqs.operations import attributes as attributes
from windtunnel.services.sqs.operations import moving as moving
from windtunnel.services.sqs.operations import permissions as permissions
from windtunnel.services.sqs.operations import queues as queues
from windtunnel.services.sqs.operations import receipts as receipts
from windtunnel.services.sqs.operations import receiving as receiving
from windtunnel.services.sqs.operations import sending as sending
from windtunnel.services.sqs.operations import tags as tags
