"""Git: the objects that the store's refs name are there, whole, with everything that they reach."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from functools import partial
from pathlib import Path

import msgspec

from windtunnel.kernel.typed import from_json
from windtunnel.upkeep.doctor.findings import Case

SECONDS = 600
QUIET = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
SAFE = ("-c", "safe.directory=*")
RESTORE = "push the branch again from a clone, or go back with `windtunnel snapshot load NAME --replace`"
LINES = 5


class _Repository(msgspec.Struct):
    name: str
    repository_id: str


class _Ref(msgspec.Struct):
    repository_id: str
    name: str
    target: str


def look(case: Case, db: sqlite3.Connection) -> None:
    repositories = [from_json(body, _Repository) for (body,) in _bodies(db, "codecommit.repository")]
    refs: dict[str, dict[str, str]] = defaultdict(dict)
    for (body,) in _bodies(db, "codecommit.ref"):
        ref = from_json(body, _Ref)
        refs[ref.repository_id][ref.name] = ref.target
    case.looked["repositories"] = len(repositories)
    for repository in repositories:
        _repository(case, repository, refs[repository.repository_id])
    owned = {f"{repository.repository_id}.git" for repository in repositories}
    root = case.data / "git"
    for directory in sorted(root.iterdir()) if root.is_dir() else ():
        if directory.name not in owned and not case.running:
            case.note("git", str(directory), "belongs to no repository", "the next start removes it", partial(shutil.rmtree, directory))


def _bodies(db: sqlite3.Connection, kind: str) -> sqlite3.Cursor:
    return db.execute("SELECT body FROM doc WHERE kind=?", (kind,))


def _repository(case: Case, repository: _Repository, refs: dict[str, str]) -> None:
    path = case.data / "git" / f"{repository.repository_id}.git"
    if not refs:
        return
    if not (path / "objects").is_dir():
        case.error("git", repository.name, f"its objects are not there ({path})", RESTORE)
        return
    if shutil.which("git") is None:
        case.warning("git", repository.name, "was not looked at: there is no git on this machine", "install git")
        return
    missing = {name: target for name, target in refs.items() if target in _absent(path, sorted(set(refs.values())))}
    for name, target in sorted(missing.items()):
        case.error("git", f"{repository.name} {name}", f"its commit {target} is not there", RESTORE)
    reached = _git(
        path, "rev-list", "--objects", "--quiet", "--stdin", given="".join(f"{t}\n" for t in refs.values() if t not in missing.values())
    )
    whole = _git(path, "fsck", "--full", "--no-dangling", "--no-progress")
    said = [line for line in (reached.stderr + whole.stderr + whole.stdout).splitlines() if line and not line.startswith("notice:")]
    if reached.returncode or (whole.returncode and not missing):
        case.error("git", repository.name, " / ".join(dict.fromkeys(said[:LINES])) or "git fsck failed", RESTORE)


def _absent(path: Path, objects: list[str]) -> set[str]:
    done = _git(path, "cat-file", "--batch-check", given="".join(f"{name}\n" for name in objects))
    return {words[0] for line in done.stdout.splitlines() if (words := line.split())[-1:] == ["missing"]}


def _git(path: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **QUIET}
    return subprocess.run(
        ["git", *SAFE, *arguments],
        cwd=path,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
    )
