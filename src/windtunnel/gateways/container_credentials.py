"""169.254.170.2: where a build's container fetches its role's credentials (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI).

Invariant: the asker is the sandbox whose listener took the request; another sandbox's path is answered as one that does not exist.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from windtunnel.compute.credentials import SandboxCredential
from windtunnel.kernel.records import Tx

Answer = tuple[int, dict[str, str], bytes]


def answer(tx: Tx, sandbox_id: str, method: str, path: str, headers: Mapping[str, str]) -> Answer | None:
    """(status, headers, body), or None for a sandbox that has no credentials of this kind. tx: a snapshot of any scope."""
    held = tx.get(SandboxCredential, sandbox_id)
    if held is None:
        return None
    if method != "GET":
        return _json(405, {"code": "MethodNotAllowed", "message": "only GET is answered here"})
    if path.partition("?")[0] != held.path:
        return _json(404, {"code": "NotFound", "message": "no credentials are here; see AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"})
    return _json(
        200,
        {
            "RoleArn": held.role_arn,
            "AccessKeyId": held.access_key,
            "SecretAccessKey": held.secret,
            "Token": held.token,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(held.expires)),
        },
    )


def _json(status: int, body: dict[str, str]) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()
