"""`env`: what a shell must export so that unmodified clients talk to the running cloud."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import ssl
import sys
import time
from pathlib import Path

import msgspec

from windtunnel.commands.asking import NotAnswered, ask
from windtunnel.commands.running import Credentials, RunFile, credentials, run_file, write_private


def main(options: argparse.Namespace) -> int:
    running, keys = run_file(options.data), credentials(options.data)
    if running is None or keys is None:
        print(f"windtunnel: no cloud runs on {options.data}; start one with `windtunnel up --data {options.data}`", file=sys.stderr)
        return 1
    if options.region:
        running = msgspec.structs.replace(running, region=options.region)
    if options.account and options.account != keys.account:
        try:
            found = ask(options.data, "account.keys", account=options.account)
        except NotAnswered as refusal:
            print(f"windtunnel: {refusal}", file=sys.stderr)
            return 1
        keys = Credentials(found["access_key_id"], found["secret_access_key"], found["account"])
    if options.json:
        print(json.dumps(as_json(running, keys), indent=2))
    else:
        for name, value in exports(running, keys, options.data).items():
            print(f"export {name}={shlex.quote(value)}")
    return 0


def as_json(running: RunFile, keys: Credentials) -> dict[str, str]:
    return {
        "endpoint": running.endpoint,
        "tls_endpoint": running.tls_endpoint,
        "access_key_id": keys.access_key_id,
        "secret_access_key": keys.secret_access_key,
        "region": running.region,
        "account": keys.account,
    }


def exports(running: RunFile, keys: Credentials, data: Path) -> dict[str, str]:
    """Environment variables by name. git gets AWS's own credential helper and reaches CodeCommit's public URL here."""
    ca, bundle = str(data.absolute() / "tls" / "ca.pem"), str(trust_bundle(data.absolute() / "tls"))
    aws = shlex.quote(shutil.which("aws") or str(Path(sys.prefix) / "bin" / "aws"))
    repos = f"{running.endpoint}/v1/repos/"
    public = f"https://git-codecommit.{running.region}.amazonaws.com/v1/repos/"
    git = {
        f"url.{repos}.insteadOf": public,
        # git also offers passwords for keeping (store, erase), which AWS's helper does not know together with --ignore-host-check.
        f"credential.{running.endpoint}.helper": f'!f() {{ test "$1" != get || {aws} codecommit credential-helper --ignore-host-check get; }}; f',
        f"credential.{running.endpoint}.UseHttpPath": "true",
        f"http.{running.tls_endpoint}/.sslCAInfo": ca,
    }
    found = {
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # "streaming-127.0.0.1" is no name
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_REGION": running.region,
        "AWS_DEFAULT_REGION": running.region,
        "AWS_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": ca,
        "AWS_PAGER": "",
        "CODE_COMMIT_ENDPOINT": running.tls_endpoint.removeprefix("https://"),
        "GIT_CONFIG_COUNT": str(len(git)),
    }
    if "GIT_SSL_CAINFO" in os.environ:  # it would win over sslCAInfo
        found["GIT_SSL_CAINFO"] = bundle
    for number, (key, value) in enumerate(git.items()):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found


def trust_bundle(directory: Path) -> Path:
    """The machine's certificate authorities and this cloud's, in one file. The cloud makes its own in its first second."""
    ca, bundle = directory / "ca.pem", directory / "bundle.pem"
    deadline = time.monotonic() + 10
    while not ca.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    if ca.exists() and not bundle.exists():
        system = ssl.get_default_verify_paths().cafile
        others = Path(system).read_bytes() if system else b""
        write_private(bundle, others + b"\n" + ca.read_bytes())
    return bundle
