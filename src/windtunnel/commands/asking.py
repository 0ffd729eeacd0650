"""How commands ask the running cloud what only its owner may: `gateways/control.py`, signed with the first account's root key."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

from windtunnel.commands.running import credentials, run_file
from windtunnel.kernel.principal import Credential, Principal

SECONDS = 60


class NotAnswered(Exception):
    """The cloud does not run, or refused; the text says what to do."""


def ask(data: Path, what: str, /, **arguments: Any) -> dict[str, Any]:
    """The cloud's answer. Raises NotAnswered."""
    from windtunnel.gateways.control import PREFIX, SERVICE
    from windtunnel.wire.signing import sign_request

    running, keys = run_file(data), credentials(data)
    if running is None or keys is None:
        raise NotAnswered(f"no cloud runs on {data}; start one with `windtunnel up --data {data}`")
    body = json.dumps(arguments).encode()
    headers = [(b"host", f"127.0.0.1:{running.port}".encode()), (b"content-type", b"application/json")]
    root = Credential(keys.access_key_id, keys.secret_access_key, Principal.root(keys.account))
    path = PREFIX + what
    signed = sign_request(root, "POST", path, "", headers, body, region=running.region, service=SERVICE, now=time.time())
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=SECONDS)
    try:
        connection.request("POST", path, body, {key.decode(): value.decode() for key, value in signed})
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotAnswered(f"the cloud did not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise NotAnswered(said.get("message") or said.get("code") or f"status {answer.status}")
    found: dict[str, Any] = said
    return found
