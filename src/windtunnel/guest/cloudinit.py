"""User data: what the launcher of an instance wants done at its first boot.

Why it exists: instances configure themselves by it. This is the part of cloud-init that EC2 users write: `#!` scripts, `#cloud-config`
(`cloudconfig.py`), both in MIME multipart, plain, gzipped or in base64.

The invariant it keeps: it runs once per instance id. The mark is written before the first command, so a boot that someone cuts off in the
middle is not repeated (cloud-init's rule); one under which the cloud or the machine ended is, for nobody asked for that. Boot hooks and what
asks for `always` run at each boot. What is not understood is named on
the console and in /var/log/cloud-init-output.log.
"""

from __future__ import annotations

import base64
import binascii
import email
import gzip
import os
import subprocess
import sys
import time
from http.client import HTTPException
from typing import Any, NamedTuple

from windtunnel.guest import cloudconfig
from windtunnel.guest.aws import METADATA_HOST, plain_get

CLOUD = "/var/lib/cloud"
OUTPUT = "/var/log/cloud-init-output.log"
STATUS = "/run/cloud-init/status"
FINISHED = "boot-finished"
LAST_END = "/etc/windtunnel/last-end"
"""How the boot before this one ended, as the cloud says it: `lost` when the cloud or the machine ended under it."""
METADATA_PATIENCE = 120.0
WANTED = {"text/x-shellscript": "script", "text/cloud-config": "config", "text/cloud-boothook": "boothook"}


class Part(NamedTuple):
    """A piece of user data. kind: script, config, boothook, or what it is that is not supported."""

    kind: str
    content: bytes


def split(data: bytes) -> list[Part]:
    """User data as the instance metadata gives it, taken apart."""
    data = _unpacked(data)
    if not data.strip():
        return []
    head = data.lstrip()[:64].lower()
    if head.startswith((b"content-type:", b"mime-version:")):
        return _multipart(data)
    return [_part(data)]


def _unpacked(data: bytes) -> bytes:
    for _ in range(2):
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        elif data[:1] != b"#":
            try:
                decoded = base64.b64decode(data.strip(), validate=True)
            except (binascii.Error, ValueError):
                return data
            if decoded[:1] == b"#" or decoded[:2] == b"\x1f\x8b" or decoded[:13].lower() in (b"content-type:", b"mime-version:"):
                data = decoded
    return data


def _part(data: bytes) -> Part:
    first = data.lstrip().split(b"\n", 1)[0].strip().decode("utf-8", "replace")
    if first.startswith("#!"):
        return Part("script", data.lstrip())
    if first == "#cloud-config":
        return Part("config", data)
    if first == "#cloud-boothook":
        return Part("boothook", data)
    return Part(first.split()[0][:40] if first.startswith("#") else "text without a '#!' or '#cloud-config' line", data)


def _multipart(data: bytes) -> list[Part]:
    found = []
    for part in email.message_from_bytes(data.lstrip()).walk():
        if part.is_multipart():
            continue
        raw = part.get_payload(decode=True)
        content = raw if isinstance(raw, bytes) else b""
        kind = part.get_content_type()
        if kind in WANTED:
            found.append(Part(WANTED[kind], content.lstrip()))
        elif kind in ("text/plain", "application/octet-stream", "multipart/mixed"):
            found += split(content)
        else:
            found.append(Part(kind, content))
    return found


class Boot:
    """One boot's run. Everything that the parts print goes to the journal, the console and /var/log/cloud-init-output.log."""

    def __init__(self, instance: str, root: str = "", output: str = OUTPUT) -> None:
        self.root = root
        self.home = f"{root}{CLOUD}/instances/{instance}"
        self.failures: list[str] = []
        os.makedirs(f"{self.home}/sem", exist_ok=True)
        os.makedirs(f"{self.home}/scripts", exist_ok=True)
        self.tee = subprocess.Popen(["tee", "-a", root + output], stdin=subprocess.PIPE)
        assert self.tee.stdin is not None
        self.out = self.tee.stdin

    def say(self, text: str) -> None:
        self.out.write(text.encode() + b"\n")
        self.out.flush()

    def run(self, argv: list[str], name: str) -> bool:
        """Wait for the command itself, not for what it leaves running."""
        try:
            code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out, cwd="/").returncode
        except OSError as error:
            self.say(f"cloud-init: {name}: {error.strerror}")
            code = 127
        if code:
            self.failures.append(name)
            self.say(f"cloud-init: {name} failed with exit code {code}")
        return code == 0

    def first(self, step: str) -> bool:
        """True once in the life of the instance, and again as long as it was not let finish; marks it."""
        try:
            mark = os.open(f"{self.home}/sem/config_{step}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return self._was_cut_off()
        os.fsync(mark)
        os.close(mark)
        return True

    def _was_cut_off(self) -> bool:
        if os.path.exists(f"{self.home}/{FINISHED}"):
            return False
        try:
            with open(self.root + LAST_END) as stream:
                return stream.read().strip() == "lost"
        except FileNotFoundError:
            return False

    def script(self, name: str, content: bytes) -> str:
        path = f"{self.home}/scripts/{name}"
        with open(path, "wb") as stream:
            stream.write(content)
        os.chmod(path, 0o700)
        return path

    def obey(self, parts: list[Part]) -> None:
        """Everything that user data asks for at this boot."""
        first = self.first("scripts_user")
        config: dict[str, Any] = {}
        for number, part in enumerate(parts, 1):
            if part.kind == "boothook":
                self.run([self.script(f"boothook-{number:03d}", b"#!/bin/sh\n" + part.content)], "boothook")
            elif part.kind == "config":
                config = cloudconfig.merge(config, part.content, self.say)
            elif part.kind != "script" and first:
                self.say(f"cloud-init: user data of this kind is not supported and was not run: {part.kind}")
        cloudconfig.each_boot(config, self)
        if first:
            cloudconfig.once(config, self)
        if first or cloudconfig.scripts_always(config):
            for number, part in enumerate(parts, 1):
                if part.kind == "script":
                    self.run([self.script(f"part-{number:03d}", part.content)], f"scripts/part-{number:03d}")
        if first:
            cloudconfig.last(config, self)

    def close(self) -> None:
        self.out.close()
        try:
            self.tee.wait(timeout=1)
        except subprocess.TimeoutExpired:
            # Something that the script left running still writes: tee stays for it.
            return


def fetch(path: str) -> bytes | None:
    """A metadata item; None if there is none. Waits while the cloud is away."""
    until = time.monotonic() + METADATA_PATIENCE
    while True:
        try:
            token = plain_get(
                f"{METADATA_HOST}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, method="PUT", timeout=30
            )
            answer = plain_get(METADATA_HOST + path, {"X-aws-ec2-metadata-token": token.body.decode()}, timeout=30)
            if answer.status == 404:
                return None
            if answer.status == 200:
                return answer.body
        except (OSError, HTTPException):
            pass
        if time.monotonic() > until:
            raise TimeoutError(f"the instance metadata did not answer for {path}")
        time.sleep(1)


def boot() -> int:
    _set_status("running")
    try:
        instance = (fetch("/latest/meta-data/instance-id") or b"i-unknown").decode()
        data = fetch("/latest/user-data") or b""
    except TimeoutError as error:
        print(f"cloud-init: {error}", flush=True)
        _set_status("error")
        return 1
    run = Boot(instance)
    link = f"{CLOUD}/instance"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(run.home, link)
    with open(f"{run.home}/user-data.txt", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
        stream.write(data)
    run.say(f"Cloud-init running 'modules:final' at {_stamp()}. Up {_uptime():.2f} seconds.")
    run.obey(split(data))
    run.say(f"Cloud-init finished at {_stamp()}. Datasource DataSourceEc2. Up {_uptime():.2f} seconds")
    with open(f"{run.home}/{FINISHED}", "w") as mark:
        mark.write(f"{_uptime():.2f} - {_stamp()}\n")
    run.close()
    _set_status("error" if run.failures else "done")
    return 1 if run.failures else 0


def _stamp() -> str:
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def _uptime() -> float:
    with open("/proc/1/stat", "rb") as stream:
        started = int(stream.read().rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    with open("/proc/uptime", encoding="ascii") as uptime:
        return float(uptime.read().split()[0]) - started


def _set_status(status: str) -> None:
    os.makedirs(os.path.dirname(STATUS), exist_ok=True)
    with open(STATUS + ".new", "w") as stream:
        stream.write(status)
    os.replace(STATUS + ".new", STATUS)


def _status() -> str:
    try:
        with open(STATUS) as stream:
            return stream.read()
    except FileNotFoundError:
        return "not started"


def status(argv: list[str]) -> int:
    """`cloud-init status [--wait] [--long]`."""
    while "--wait" in argv or "-w" in argv:
        if _status() in ("done", "error"):
            break
        time.sleep(0.25)
    print(f"status: {_status()}")
    return 1 if _status() == "error" else 0


def clean() -> int:
    """`cloud-init clean`: the next boot runs the user data again."""
    home = os.path.realpath(f"{CLOUD}/instance")
    for name in os.listdir(f"{home}/sem") if os.path.isdir(f"{home}/sem") else ():
        os.unlink(f"{home}/sem/{name}")
    return 0


def main() -> int:
    command, *rest = sys.argv[1:] or ["help"]
    if command == "boot":
        return boot()
    if command == "status":
        return status(rest)
    if command == "clean":
        return clean()
    sys.stderr.write(f"cloud-init {command} is not built into this image; it has status [--wait] and clean.\n")
    return 1
