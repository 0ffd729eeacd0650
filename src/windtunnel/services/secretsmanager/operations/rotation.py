"""RotateSecret, CancelRotateSecret: the seam to Lambda.

Invariant: nothing is called rotated that was not. While there is no Lambda, a secret cannot be given a rotation function.
"""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.registry import writes
from windtunnel.services.secretsmanager.guard import need, on_secret
from windtunnel.services.secretsmanager.lookups import live_secret


def on_rotate(ctx: Context, secret_id: str, rotation_lambda_arn: str | None = None, **_: Any) -> list[Need]:
    asked = {} if rotation_lambda_arn is None else {"secretsmanager:RotationLambdaARN": rotation_lambda_arn}
    return [need(ctx, "RotateSecret", secret_id, asked)]


@writes("secretsmanager", "RotateSecret", authorize=on_rotate, acts="SecretId", descriptive="ClientRequestToken")
def rotate_secret(ctx: Context, secret_id: str, client_request_token: str | None = None) -> Reply:
    live_secret(ctx, secret_id)
    raise AwsError("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.")


@writes("secretsmanager", "CancelRotateSecret", authorize=on_secret("CancelRotateSecret"), acts="SecretId")
def cancel_rotate_secret(ctx: Context, secret_id: str) -> Reply:
    return {**live_secret(ctx, secret_id).names()}
