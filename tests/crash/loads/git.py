"""Pushes by real git: a push that git called done moved its branch and its tag, one that was cut off moved both or neither."""

from __future__ import annotations

import json
import os
import subprocess
import time
from typing import ClassVar
from urllib.parse import quote

import loads
from loads import Died, Register
from windtunnel.wire.gitauth import git_signature

QUIET = {
    "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
}  # fmt: skip


class Load(loads.Load):
    NEEDS: ClassVar = {("codecommit", "CreateRepository")}

    def set_up(self) -> None:
        api = self.client("codecommit")
        api.create_repository(repositoryName="mixed")
        self.host = api.meta.endpoint_url.removeprefix("http://")
        self.where = self.work / "git"
        self.where.mkdir()
        self.must("init", "-q", "-b", "main")
        self.must("commit", "-q", "--allow-empty", "-m", "first")
        self.must("push", "-q", self.url(), "main")
        self.refs = Register()
        self.refs.change("refs/heads/main", self.must("rev-parse", "HEAD"), lambda: None)

    def url(self) -> str:
        held = json.loads((self.cloud.data / "credentials.json").read_text())
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        signed = git_signature(held["secret_access_key"], stamp, "us-east-1", self.host, "/v1/repos/mixed")
        return f"http://{held['access_key_id']}:{quote(f'{stamp}Z{signed}', safe='')}@{self.host}/v1/repos/mixed"

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *arguments], cwd=self.where, env=QUIET, capture_output=True, text=True, timeout=60)

    def must(self, *arguments: str) -> str:
        done = self.git(*arguments)
        if done.returncode != 0:
            raise Died(done.stderr)
        return done.stdout.strip()

    def step(self, n: int) -> None:
        (self.where / "page").write_text(f"{n}\n" * 500)
        self.must("add", "-A")
        self.must("commit", "-q", "-m", f"n{n}")
        tip = self.must("rev-parse", "HEAD")
        tag = f"refs/tags/v{n}"

        def push() -> None:
            self.must("push", "-q", "--atomic", self.url(), f"+{tip}:refs/heads/main", f"{tip}:{tag}")

        self.refs.change("refs/heads/main", tip, lambda: self.refs.change(tag, tip, push))

    def verify(self) -> None:
        lines = self.must("ls-remote", self.url()).splitlines()
        there = {ref: commit for commit, ref in (line.split("\t") for line in lines) if ref != "HEAD"}
        for ref in self.refs:
            self.refs.seen(ref, there.pop(str(ref), loads.ABSENT))
        assert not there, f"refs that nobody pushed: {there}"
