"""AWS managed keys (`alias/aws/s3`): keys that no record stands for, since all that they are follows from the account and the region.

Invariant: their ids, policies and materials are the same at every start; material comes from the cloud's root key alone, so nothing
has to be written before a service encrypts with one for the first time.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256

from windtunnel.kernel.scope import Scope
from windtunnel.services.kms.model import Key, Material

SERVICES = (
    "acm", "backup", "codecommit", "dynamodb", "ebs", "elasticfilesystem", "es", "fsx", "glue", "kinesis", "kinesisvideo", "lambda",
    "rds", "redshift", "s3", "secretsmanager", "sns", "sqs", "ssm", "workmail", "workspaces", "xray",
)  # fmt: skip
PREFIX = "alias/aws/"
_CREATED = 1_700_000_000.0
_SPEAKING = {"ebs": "ec2", "elasticfilesystem": "elasticfilesystem"}
"""The services whose calls come under another name than their alias has (EBS's come from EC2)."""


def managed_key(scope: Scope, alias: str) -> Key | None:
    """The key behind `alias/aws/NAME`; None when AWS has none of that name."""
    service = alias.removeprefix(PREFIX)
    return _key(scope, service) if alias.startswith(PREFIX) and service in SERVICES else None


def managed_by_id(scope: Scope, key_id: str) -> Key | None:
    service = _ids(scope).get(key_id)
    return None if service is None else _key(scope, service)


def alias_of(scope: Scope, key: Key) -> str:
    """The one alias of a managed key."""
    return PREFIX + _ids(scope)[key.id]


def managed_keys(scope: Scope) -> list[Key]:
    return [_key(scope, service) for service in SERVICES]


def label(scope: Scope, key: Key) -> str:
    """What the root key derives this key's material from."""
    return f"kms/{scope.account}/{scope.region}/{_ids(scope)[key.id]}"


@lru_cache(maxsize=64)
def _ids(scope: Scope) -> dict[str, str]:
    return {_id(scope, service): service for service in SERVICES}


def _id(scope: Scope, service: str) -> str:
    h = sha256(f"{scope.account}/{scope.region}/{service}".encode()).hexdigest()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:32]}"


@lru_cache(maxsize=1024)
def _key(scope: Scope, service: str) -> Key:
    key_id = _id(scope, service)
    material = Material(sha256(f"material/{key_id}".encode()).hexdigest(), b"", _CREATED)
    return Key(
        id=key_id,
        created=_CREATED,
        policy=_policy(scope, service),
        materials=[material],
        description=f"Default key that protects my {service} resources when no other key is defined",
        manager="AWS",
    )


def _policy(scope: Scope, service: str) -> str:
    """Whoever may use the service, through the service, within the account; and a look at the key for the account's own."""
    via = f"{_SPEAKING.get(service, service)}.{scope.region}.amazonaws.com"
    statements = [
        {
            "Sid": f"Allow access through {service} for all principals in the account that are authorized to use it",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:CallerAccount": scope.account, "kms:ViaService": via}},
        },
        {
            "Sid": "Allow direct access to key metadata to the account",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{scope.account}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        },
    ]
    return json.dumps({"Version": "2012-10-17", "Id": f"auto-{service}-2", "Statement": statements}, indent=2, separators=(",", " : "))
