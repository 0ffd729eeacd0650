"""What the generated contract tests need to know of `events`."""

from __future__ import annotations

from typing import Any

from harness import ACCOUNT, REGION

_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}"
_ARCHIVE = f"{_ARN}:archive/archive"
_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"statement","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},'
    f'"Action":"events:PutEvents","Resource":"{_ARN}:event-bus/default"}}]}}'
)
_DAY = {"event_start_time": 1_700_000_000.0, "event_end_time": 1_700_086_400.0}

NAMES: dict[str, Any] = {
    "resourcearn": f"{_ARN}:rule/rule",
    "name": "rule",
    "archivename": "archive",
    "eventsourcearn": f"{_ARN}:event-bus/default",
    "replayname": "replay",
    "destination.arn": f"{_ARN}:event-bus/default",
    "statementid": "statement",
    "principal": "111111111111",
    "action": "events:PutEvents",
    "deadletterconfig.arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:letters",
    "targets.arn": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
    "eventendtime": 1_950_000_000,
    "connectionarn": f"{_ARN}:connection/rule/00000000-0000-4000-8000-000000000000",
    "invocationendpoint": "https://example.com/",
    "authorizationtype": "API_KEY",
    "authparameters": {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "v"}},
}
ALSO: dict[str, str] = {
    "PutRule": "EventPattern",
    "PutPermission": "Principal Action StatementId",
    "RemovePermission": "StatementId",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("PutRule", {"name": "rule", "event_pattern": '{"source":["nobody"]}'}),
    ("CreateEventBus", {"name": "rule"}),
    ("PutPermission", {"policy": _POLICY}),
    ("CreateArchive", {"archive_name": "archive", "event_source_arn": f"{_ARN}:event-bus/default"}),
    (
        "CreateConnection",
        {
            "name": "rule",
            "authorization_type": "BASIC",
            "auth_parameters": {"BasicAuthParameters": {"Username": "u", "Password": "p"}},
        },
    ),
    ("StartReplay", {"replay_name": "replay", "event_source_arn": _ARCHIVE, "destination": {"Arn": f"{_ARN}:event-bus/default"}, **_DAY}),
]
AFTER = "iam"
