"""What the generated contract tests need to know of `secretsmanager`."""

from __future__ import annotations

from typing import Any

VERSION = "0" * 32
NAMES: dict[str, Any] = {
    "secretid": "secret",
    "secretidlist": ["secret"],
    "versionstage": "AWSCURRENT",
    "versionid": VERSION,
    "region": "eu-west-1",
    "addreplicaregions.region": "eu-west-1",
    "removereplicaregions": ["eu-west-1"],
    "resourcepolicy": (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"},'
        '"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}'
    ),
}
ALSO: dict[str, str] = {
    "BatchGetSecretValue": "SecretIdList",
    "PutSecretValue": "SecretString",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateSecret", {"name": "secret", "secret_string": "v", "client_request_token": VERSION}),
]
