"""`cfn-signal`: tells a resource that waits for signals, or a wait condition, how it went.

The invariant it keeps: it ends with 0 only when the signal was taken.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import socket
import sys
import time
from urllib.parse import urlsplit

from windtunnel.guest.aws import Answer, ApiError, NoCredentials, Unreachable, metadata, parse_error
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import FOLDER, Log
from windtunnel.guest.cfn.options import access, parser, truth
from windtunnel.guest.cfn.stacks import Lookup, connect

PATIENCE = 300.0


def main(argv: list[str] | None = None, folder: str = FOLDER) -> int:
    arguments = parser("cfn-signal", "Signals a resource of a stack, or a wait condition.", stack=False)
    arguments.add_argument("--stack", default="", help="name or id of the stack")
    arguments.add_argument("--resource", default="", help="logical id of the resource")
    arguments.add_argument("-s", "--success", default="true", help="true: SUCCESS, else FAILURE")
    arguments.add_argument("-e", "--exit-code", type=int, help="0: SUCCESS, else FAILURE; takes the place of --success")
    arguments.add_argument("-r", "--reason", default="", help="why it failed (wait conditions)")
    arguments.add_argument("-d", "--data", default="", help="data for the wait condition")
    arguments.add_argument("-i", "--id", default="", help="the signal's unique id; by default the instance's id")
    arguments.add_argument("-v", "--verbose", action="store_true")
    arguments.add_argument("handle", nargs="?", default="", help="the wait condition handle's URL")
    given = arguments.parse_args(argv)
    journal = Log(f"{folder}/cfn-signal.log", given.verbose)
    if bool(given.handle) == bool(given.stack and given.resource):
        arguments.error("either a wait condition's URL is needed, or --stack and --resource")
    success = given.exit_code == 0 if given.exit_code is not None else truth(given.success)
    unique_id = given.id or default_id()
    try:
        if given.handle:
            signal_handle(handle_url(given.handle), success, unique_id, given.reason, given.data)
        else:
            connect(access(given), patience=PATIENCE).signal(given.stack, given.resource, unique_id, success)
    except (Failed, ApiError, Unreachable, NoCredentials, OSError) as error:
        journal.error(f"Signaling failed: {error}")
        sys.stderr.write(f"Error signaling CloudFormation: {error}\n")
        return 1
    journal.info(f"CloudFormation signaled successfully with {'SUCCESS' if success else 'FAILURE'}.")
    return 0


def default_id(lookup: Lookup = metadata) -> str:
    """The instance's id; elsewhere the machine's name."""
    try:
        return lookup("/latest/meta-data/instance-id") or socket.getfqdn()
    except (OSError, http.client.HTTPException):
        return socket.getfqdn()


def handle_url(given: str) -> str:
    """The URL, which may be given in base64. Raises Failed."""
    if not given.startswith(("http://", "https://")):
        try:
            given = base64.b64decode(given, validate=True).decode()
        except (ValueError, binascii.Error):
            raise Failed("the wait condition's handle is no URL") from None
    if urlsplit(given).scheme not in ("http", "https"):
        raise Failed("the wait condition's handle is no URL")
    return given


def signal_body(success: bool, unique_id: str, reason: str, data: str) -> bytes:
    said = reason or ("" if success else "Configuration failed.")
    return json.dumps({"Status": "SUCCESS" if success else "FAILURE", "Reason": said, "UniqueId": unique_id, "Data": data}).encode()


def signal_handle(url: str, success: bool, unique_id: str, reason: str, data: str, patience: float = PATIENCE) -> None:
    """PUT to the presigned URL, with the empty Content-Type that it was signed for. A server that fails is asked again for a while."""
    body = signal_body(success, unique_id, reason, data)
    deadline, pause = time.monotonic() + patience, 0.1
    while True:
        try:
            answer = put(url, body)
            if answer.status < 300:
                return
            if answer.status < 500:
                raise parse_error(answer)
            trouble = f"HTTP {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            trouble = str(error)
        if time.monotonic() > deadline:
            raise Unreachable(f"the wait condition's handle could not be reached: {trouble}")
        time.sleep(pause)
        pause = min(pause * 2, 5.0)


def put(url: str, body: bytes) -> Answer:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=60)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("PUT", path, body=body, headers={"Content-Type": ""})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()
