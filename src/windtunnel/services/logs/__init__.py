"""CloudWatch Logs: groups, streams, events in chunks, filter patterns, tail, subscription filters, export to S3, encryption, retention.

Not built: metric filters, Insights, data protection, transformers, anomaly detectors, deliveries.
"""

from windtunnel.services.logs.operations import (
    definitions,
    events,
    exports,
    groups,
    keys,
    nothing,
    policies,
    streams,
    subscriptions,
    tags,
    tail,
    testing,
)

__all__ = [
    "definitions",
    "events",
    "exports",
    "groups",
    "keys",
    "nothing",
    "policies",
    "streams",
    "subscriptions",
    "tags",
    "tail",
    "testing",
]
