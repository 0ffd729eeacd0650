"""The repositories on disk: git objects, and the projection of the store's refs into ref files for `git upload-pack`.

Truth and order: objects are on disk and fsynced before a ref names them; refs are moved in the store; ref files follow and are
rewritten from the store at start. `open` and `move` work on a transaction; all else does I/O and runs in threads, never in one.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from windtunnel.kernel.cloud import BlobRef
from windtunnel.kernel.context import Context, Need
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Moved, Opened, Update
from windtunnel.services.codecommit.model import Repository, repository_arn, resource_tags
from windtunnel.services.codecommit.refs import move, refs_of, refusal
from windtunnel.services.codecommit.triggering import fire

SECONDS = 600
_QUIET = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def git_environment() -> dict[str, str]:
    """git without the user's or the machine's settings, and durable: what it writes is fsynced."""
    settings = {
        "core.fsync": "objects,reference,pack,pack-metadata",
        "core.fsyncMethod": "fsync",
        "gc.auto": "0",
        "safe.directory": "*",
        "uploadpack.allowAnySHA1InWant": "true",
    }
    found = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), **_QUIET, "GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found


class GitHosting:
    """All repositories of one cloud, by repository id; implements kernel.git.GitHost."""

    def __init__(self, root: Path, blobs: Any) -> None:
        self._root = root
        self._blobs = blobs
        self._lock = threading.Lock()
        self._turns = itertools.count(1)
        self._projected: dict[str, int] = {}

    def open(self, ctx: Context, name: str, action: str, references: list[str]) -> Opened | None:
        """A repository in which the caller may do the action to all the references; AccessDenied otherwise."""
        arn = repository_arn(ctx.scope, name)
        repo = ctx.tx.get(Repository, name)
        keys = resource_tags(repo)
        needs = [Need(action, arn, keys | {"codecommit:References": reference}) for reference in references] or [Need(action, arn, keys)]
        ctx.cloud.identity.check(ctx, needs)
        return None if repo is None else Opened(repo.name, repo.repository_id, refs_of(ctx, repo))

    def move(self, ctx: Context, opened: Opened, updates: list[Update], summaries: dict[str, str], atomic: bool) -> Moved:
        """Move the refs that may move (all or none if atomic), with their events."""
        repo = ctx.tx.get(Repository, opened.name)
        if repo is None or repo.repository_id != opened.repository_id:
            return Moved(["the repository was deleted" for _ in updates], {}, "", 0)
        names = set(refs_of(ctx, repo))
        reasons: list[str | None] = []
        for number, update in enumerate(updates):
            twice = any(other.ref == update.ref for other in updates[:number])
            reasons.append("more than one update of this reference" if twice else refusal(ctx, repo, update, sorted(names)))
            if reasons[-1] is None:
                (names.discard if update.new == ZERO else names.add)(update.ref)
        if atomic and any(reasons):
            reasons = [reason or "atomic push failed" for reason in reasons]
        for update, reason in zip(updates, reasons, strict=True):
            if reason is None:
                move(ctx, repo, update, summary=summaries.get(update.new, ""), alone=False)
        fire(ctx, repo, [update for update, reason in zip(updates, reasons, strict=True) if reason is None])
        return Moved(reasons, refs_of(ctx, repo), repo.default_branch, self.turn())

    def turn(self) -> int:
        """Drawn in a write transaction: greater for a later state of the store."""
        return next(self._turns)

    def environment(self) -> dict[str, str]:
        """What git processes run with."""
        return git_environment()

    def path(self, repository_id: str) -> Path:
        """The bare repository's directory, made on first use."""
        path = self._root / f"{repository_id}.git"
        if not (path / "HEAD").exists():
            with self._lock:
                (path / "objects" / "pack").mkdir(parents=True, exist_ok=True)
                (path / "objects" / "info").mkdir(exist_ok=True)
                (path / "refs").mkdir(exist_ok=True)
                (path / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogallrefupdates = false\n")
                (path / "HEAD").write_text("ref: refs/heads/main\n")
        return path

    def project(self, repository_id: str, refs: Mapping[str, str], default_branch: str, turn: int) -> None:
        """Write the store's refs as packed-refs, so that git serves them; not if a later state has been written already."""
        path = self.path(repository_id)
        text = "# pack-refs with: sorted\n" + "".join(f"{refs[name]} {name}\n" for name in sorted(refs))
        with self._lock:
            if turn < self._projected.get(repository_id, 0):
                return
            self._projected[repository_id] = turn
            for name, content in (("packed-refs", text), ("HEAD", f"ref: refs/heads/{default_branch or 'main'}\n")):
                fresh = path / f".{name}.new"
                fresh.write_text(content)
                os.replace(fresh, path / name)

    def remove(self, repository_id: str) -> None:
        shutil.rmtree(self._root / f"{repository_id}.git", ignore_errors=True)

    def sweep(self, known: Collection[str]) -> None:
        """At the start: directories of repositories that are gone, and what a push that was cut off left behind."""
        for directory in self._root.glob("*.git"):
            if directory.name.removesuffix(".git") not in known:
                shutil.rmtree(directory, ignore_errors=True)
        for left in self._root.glob("*.git/objects/pack/tmp_*"):
            left.unlink(missing_ok=True)

    def not_commits(self, repository_id: str, tips: list[str]) -> set[str]:
        """Those of the objects that are no commits: a branch may name none of them."""
        done = self.git(repository_id, "cat-file", "--batch-check", stdin="".join(f"{tip}\n" for tip in tips).encode())
        kinds = (line.split() for line in done.stdout.decode().splitlines())
        return {words[0] for words in kinds if words[1] != "commit"}

    def git(self, repository_id: str, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run git in the repository, bounded; the caller looks at the return code."""
        return subprocess.run(
            ["git", *arguments],
            cwd=self.path(repository_id),
            env=git_environment(),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=SECONDS,
        )

    def has_commit(self, repository_id: str, commit: str) -> bool:
        """Whether a commit is in the object store."""
        return self.git(repository_id, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def accept_pack(self, repository_id: str, pack: Path) -> str | None:
        """Take a pushed pack into the object store; the reason when it is broken."""
        with pack.open("rb") as source:
            done = subprocess.run(
                ["git", "-c", "transfer.fsckObjects=false", "index-pack", "--stdin", "--fix-thin", "--strict"],
                cwd=self.path(repository_id),
                env=git_environment(),
                stdin=source,
                capture_output=True,
                timeout=SECONDS,
            )
        return None if done.returncode == 0 else done.stderr.decode(errors="replace").strip() or "index-pack failed"

    def connected(self, repository_id: str, tips: list[str]) -> str | None:
        """Whether everything that the new tips reach, and that no ref reached before, is here; the reason when something is missing."""
        lines = "".join(f"{tip}\n" for tip in tips)
        done = self.git(repository_id, "rev-list", "--objects", "--quiet", "--stdin", "--not", "--all", stdin=lines.encode())
        return None if done.returncode == 0 else "missing necessary objects"

    def summary(self, repository_id: str, commit: str) -> str:
        """The first line of a commit's message; empty for what is not a commit."""
        done = self.git(repository_id, "log", "-1", "--format=%s", commit, "--")
        return done.stdout.decode(errors="replace").strip()[:200] if done.returncode == 0 else ""

    def archive(self, repository_id: str, commit: str) -> BlobRef:
        """The commit's tree as a zip, as CodePipeline's CODE_ZIP artifact: files at the root, no .git. The same commit gives the same blob."""
        writer = self._blobs.writer()
        process = subprocess.Popen(
            ["git", "archive", "--format=zip", commit],
            cwd=self.path(repository_id),
            env=git_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            if process.stdout is None:
                raise RuntimeError("git archive has no output")
            while data := process.stdout.read(1 << 20):
                writer.write(data)
            if process.wait() != 0:
                raise AwsError("CommitDoesNotExistException", f"Commit {commit} could not be archived")
        except BaseException:
            process.kill()
            process.wait()
            writer.discard()
            raise
        finally:
            timer.cancel()
            if process.stdout is not None:
                process.stdout.close()
        ref: BlobRef = writer.finish()
        return ref
