"""CloudWatch Logs. Built so far: groups, streams, events in and out, filter patterns of terms, JSON and fields, retention, tags."""

from windtunnel.services.logs.operations import events, groups, streams, tags

__all__ = ["events", "groups", "streams", "tags"]
