"""Under which key a build's artifacts are uploaded."""

from __future__ import annotations

from typing import Any

import pytest

from windtunnel.kernel.scope import Scope
from windtunnel.services.codebuild.plan import _artifacts

SCOPE = Scope("123456789012", "us-east-1")
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


@pytest.mark.parametrize(
    ("key", "more", "expected"),
    [
        pytest.param(KEY, {}, KEY, id="a key of its own"),
        pytest.param("arn:aws:kms:us-east-1:123456789012:alias/aws/s3", {}, None, id="S3's own: what the bucket does by default"),
        pytest.param("alias/aws/s3", {}, None, id="S3's own, by its alias"),
        pytest.param(KEY, {"encryptionDisabled": True}, None, id="encryption is switched off"),
    ],
)
def test_the_key_of_an_upload(key: str, more: dict[str, Any], expected: str | None) -> None:
    assert _artifacts(SCOPE, {"encryptionKey": key}, {"type": "S3", **more}).get("kmsKey") == expected
