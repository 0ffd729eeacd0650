"""`cfn-init`: configures the instance as the metadata of a resource say.

The invariant it keeps: it ends with 0 only when every step of every config has succeeded; why not is its last line and in its log.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from windtunnel.guest.aws import ApiError, NoCredentials, Unreachable
from windtunnel.guest.cfn import build
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.fetching import Fetcher
from windtunnel.guest.cfn.logs import FOLDER, Log
from windtunnel.guest.cfn.options import access, parser
from windtunnel.guest.cfn.plan import asked_configsets
from windtunnel.guest.cfn.stacks import Stacks, connect


def main(argv: list[str] | None = None, folder: str = FOLDER, state: str = build.STATE) -> int:
    arguments = parser("cfn-init", "Configures this instance by AWS::CloudFormation::Init.")
    arguments.add_argument("-c", "--configsets", default="", help="the configsets to work through, separated by commas")
    arguments.add_argument("-v", "--verbose", action="store_true")
    arguments.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    arguments.add_argument("file", nargs="?", default="", help="metadata in a JSON file, instead of a stack's")
    given = arguments.parse_args(argv)
    journal, output = Log(f"{folder}/cfn-init.log", given.verbose), Log(f"{folder}/cfn-init-cmd.log", given.verbose, marked=True)
    if not (given.file or given.resume or (given.stack and given.resource)):
        arguments.error("a stack and a resource are needed: cfn-init --stack NAME --resource LOGICAL_ID")
    try:
        stacks = None if given.file and not given.stack else connect(access(given))
        if given.resume:
            todo, metadata = build.resumed(state)
        else:
            metadata = from_file(given.file) if given.file else from_stack(stacks, given.stack, given.resource)
            todo = build.planned(metadata, asked_configsets(given.configsets))
        journal.info(f"Running configSets: {given.configsets or 'default'}")
        build.build(todo, metadata, build.Tools(journal, output, fetcher(stacks, metadata, journal)), state)
    except (Failed, ApiError, Unreachable, NoCredentials, OSError) as error:
        return failed(journal, error)
    return 0


def fetcher(stacks: Stacks | None, metadata: dict[str, Any], journal: Log) -> Fetcher:
    where = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or (stacks.endpoint if stacks else "")
    region = stacks.region if stacks else os.environ.get("AWS_REGION") or "us-east-1"
    return Fetcher(build.authentication(metadata), where, region, journal)


def from_stack(stacks: Stacks | None, stack: str, logical_id: str) -> dict[str, Any]:
    found = stacks.resource(stack, logical_id).metadata if stacks is not None else None
    if not found:
        raise Failed(f"the resource {logical_id} of the stack {stack} has no metadata")
    return found


def from_file(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError) as error:
        raise Failed(f"{path} holds no metadata: {error}") from None
    if not isinstance(found, dict):
        raise Failed(f"{path} holds no metadata")
    return found


def failed(journal: Log, error: Exception) -> int:
    journal.error("BUILD FAILED!".center(70, "-"))
    journal.error(str(error))
    sys.stderr.write(f"Error occurred during build: {error}\n")
    return 1
