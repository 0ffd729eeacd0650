"""git itself against a started cloud: clones whose URL carries the signature that AWS's credential helper makes."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

from doomed import DoomedCloud

from windtunnel.wire.gitauth import git_signature

QUIET = {
    "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
}  # fmt: skip


def git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=directory, env=QUIET, capture_output=True, text=True, timeout=120)


def must(directory: Path, *arguments: str) -> str:
    done = git(directory, *arguments)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout.strip()


class Repositories:
    """The cloud's repositories as git sees them."""

    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        self.api = cloud.client("codecommit")
        self.host = self.api.meta.endpoint_url.removeprefix("http://")

    def create(self, name: str) -> str:
        self.api.create_repository(repositoryName=name)
        return name

    def signed(self, name: str, key: str = "", secret: str = "", token: str = "") -> str:
        """A repository's URL with credentials; without a key they are the root's."""
        if not key:
            held = json.loads((self.cloud.data / "credentials.json").read_text())
            key, secret = held["access_key_id"], held["secret_access_key"]
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        password = f"{stamp}Z{git_signature(secret, stamp, 'us-east-1', self.host, f'/v1/repos/{name}')}"
        return self.with_password(name, f"{key}%{token}" if token else key, password)

    def with_password(self, name: str, user: str, password: str) -> str:
        return f"http://{quote(user, safe='')}:{quote(password, safe='')}@{self.host}/v1/repos/{name}"

    def refs(self, name: str) -> dict[str, str]:
        """What a client is told of the refs."""
        lines = must(self.cloud.data, "ls-remote", self.signed(name)).splitlines()
        return {ref: commit for commit, ref in (line.split("\t") for line in lines) if ref != "HEAD"}

    def on_disk(self, name: str) -> Path:
        found = self.api.get_repository(repositoryName=name)["repositoryMetadata"]["repositoryId"]
        return self.cloud.data / "git" / f"{found}.git"


class Work:
    """A working directory with its own history."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        must(path, "init", "-q", "-b", "main")

    def commit(self, name: str = "page.html", content: str = "one\n") -> str:
        (self.path / name).write_text(content)
        must(self.path, "add", "-A")
        must(self.path, "commit", "-q", "-m", f"{name}: {content[:20].strip()}")
        return must(self.path, "rev-parse", "HEAD")

    def push(self, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return git(self.path, "push", *(arguments[:-1] if len(arguments) > 1 else ()), url, *(arguments[-1:] or ("main",)))
