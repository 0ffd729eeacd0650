"""Pushes and branches that a clone could not hold, or whose sender does not have the whole history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import InProcessCloud
from windtunnel.gateways.git_http import read_push
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.git import ZERO, Opened, Update
from windtunnel.services.codecommit.model import Repository
from windtunnel.services.codecommit.refs import clash, refs_of

COMMIT = "1" * 40
HEAD = "refs/heads/"


@pytest.mark.parametrize(
    "name, others, expected",
    [
        pytest.param(HEAD + "a", [HEAD + "a/b"], HEAD + "a/b", id="a directory of refs is in the way"),
        pytest.param(HEAD + "a/b/c", [HEAD + "x", HEAD + "a"], HEAD + "a", id="a ref is in the way of a directory"),
        pytest.param(HEAD + "a/b", [HEAD + "a/c", HEAD + "ab", "refs/tags/a"], None, id="neighbours are not in the way"),
    ],
)
def test_clash(name: str, others: list[str], expected: str | None) -> None:
    assert clash(name, others) == expected


def push(cloud: InProcessCloud, *updates: Update, atomic: bool = False) -> list[str | None]:
    host: Any = cloud.cloud.part("git")

    def run(ctx: Context) -> list[str | None]:
        repo = ctx.tx.get(Repository, "app")
        assert repo is not None
        opened = Opened(repo.name, repo.repository_id, refs_of(ctx, repo))
        found: list[str | None] = host.move(ctx, opened, list(updates), {}, atomic).reasons
        return found

    return cloud.write(run)


def test_a_push_takes_no_two_refs_that_exclude_each_other(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.api("codecommit", "CreateRepository", repository_name="app")
        made = push(cloud, Update(HEAD + "a", ZERO, COMMIT), Update(HEAD + "a/b", ZERO, COMMIT), Update(HEAD + "c", ZERO, COMMIT))
        assert made == [None, "'refs/heads/a' exists; cannot create 'refs/heads/a/b'", None]
        moved = push(cloud, Update(HEAD + "c", COMMIT, ZERO), Update(HEAD + "c/d", ZERO, COMMIT))
        assert moved == [None, None]
        with pytest.raises(AwsError) as refused:
            cloud.api("codecommit", "CreateBranch", repository_name="app", branch_name="a/b", commit_id=COMMIT)
        assert refused.value.code == "InvalidBranchNameException"
        branches = cloud.api("codecommit", "ListBranches", repository_name="app")["branches"]
        assert branches == ["a", "c/d"]


def test_a_push_from_a_shallow_clone_is_read(tmp_path: Path) -> None:
    lines = [f"shallow {COMMIT}\n".encode(), f"{ZERO} {COMMIT} {HEAD}x\0report-status\n".encode()]
    request = tmp_path / "push"
    request.write_bytes(b"".join(b"%04x" % (len(line) + 4) + line for line in lines) + b"0000")
    assert read_push(request).updates == [Update(HEAD + "x", ZERO, COMMIT)]
