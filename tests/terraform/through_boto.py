"""What Terraform made, seen and used by boto3."""

from __future__ import annotations

from typing import Any

import boto3

from windtunnel.labs.cloud import LabCloud


def client(cloud: LabCloud, service: str) -> Any:
    environment = cloud.environment()
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
