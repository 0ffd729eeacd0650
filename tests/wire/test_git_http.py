"""git over HTTP: what real git may and may not do with a repository of a started cloud."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "crash"))

from doomed import DoomedCloud  # noqa: E402
from git_lab import Repositories, Work, git, must  # noqa: E402

from windtunnel.kernel.git import ZERO  # noqa: E402


@pytest.fixture(scope="module")
def repos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repositories]:
    cloud = DoomedCloud(tmp_path_factory.mktemp("git") / "data")
    try:
        yield Repositories(cloud)
    finally:
        cloud.stop()


@pytest.fixture
def name(repos: Repositories, request: pytest.FixtureRequest) -> str:
    return repos.create(re.sub(r"\W+", "-", request.node.name)[:100])


def test_push_clone_and_fetch(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    first = work.commit()
    assert work.push(repos.signed(name)).returncode == 0
    assert repos.api.get_repository(repositoryName=name)["repositoryMetadata"]["defaultBranch"] == "main"
    must(tmp_path, "clone", "-q", repos.signed(name), "clone")
    assert (tmp_path / "clone/page.html").read_text() == "one\n"
    second = work.commit(content="two\n")
    must(work.path, "tag", "-a", "v1", "-m", "the first")
    assert work.push(repos.signed(name), "--follow-tags", "main").returncode == 0
    assert repos.api.get_branch(repositoryName=name, branchName="main")["branch"]["commitId"] == second != first
    must(tmp_path / "clone", "pull", "-q", repos.signed(name), "main")
    assert (tmp_path / "clone/page.html").read_text() == "two\n"
    must(tmp_path, "clone", "-q", "--depth", "1", "-b", "v1", repos.signed(name), "shallow")
    assert must(tmp_path / "shallow", "rev-list", "--count", "HEAD") == "1"
    assert must(repos.on_disk(name), "fsck", "--full") == ""


def test_a_branch_goes_back_only_by_force(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    first = work.commit()
    work.commit(content="two\n")
    work.push(repos.signed(name))
    must(work.path, "reset", "-q", "--hard", first)
    assert "non-fast-forward" in work.push(repos.signed(name)).stderr
    assert work.push(repos.signed(name), "--force", "main").returncode == 0
    assert repos.refs(name) == {"refs/heads/main": first}


def test_branches_are_deleted_but_for_the_default_one(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    tip = work.commit()
    assert work.push(repos.signed(name), "main").returncode == 0
    assert work.push(repos.signed(name), "main:side").returncode == 0
    assert work.push(repos.signed(name), ":side").returncode == 0
    denied = work.push(repos.signed(name), ":main")
    assert denied.returncode != 0 and "the default branch cannot be deleted" in denied.stderr
    assert repos.refs(name) == {"refs/heads/main": tip}


def test_an_atomic_push_moves_all_or_nothing(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    tip = work.commit()
    work.push(repos.signed(name))
    for word, expected in (("--atomic", set()), ("--no-atomic", {"refs/heads/other"})):
        done = git(work.path, "push", word, repos.signed(name), "main:other", ":main")
        assert done.returncode != 0
        assert set(repos.refs(name)) - {"refs/heads/main"} == expected
    assert repos.refs(name)["refs/heads/main"] == tip


def test_one_of_two_pushes_to_a_branch_wins(repos: Repositories, name: str, tmp_path: Path) -> None:
    base = Work(tmp_path / "base")
    base.commit()
    base.push(repos.signed(name))
    works = []
    for number in range(4):
        must(tmp_path, "clone", "-q", repos.signed(name), f"w{number}")
        (tmp_path / f"w{number}/page.html").write_text(f"{number}\n")
        must(tmp_path / f"w{number}", "commit", "-qam", str(number))
        works.append(tmp_path / f"w{number}")
    for round_ in range(3):
        pushes = [["push", repos.signed(name), "HEAD:main", f"HEAD:{work.name}-{round_}"] for work in works]
        with ThreadPoolExecutor(len(works)) as pool:
            codes = dict(zip(works, (done.returncode for done in pool.map(lambda w, p: git(w, *p), works, pushes)), strict=True))
        refs = repos.refs(name)
        winners = [work for work in works if codes[work] == 0]
        assert len(winners) == 1 and refs["refs/heads/main"] == must(winners[0], "rev-parse", "HEAD")
        kept = {ref for ref in refs if ref.endswith(f"-{round_}")}
        branches = repos.api.list_branches(repositoryName=name)["branches"]
        assert kept == {f"refs/heads/{branch}" for branch in branches if branch.endswith(f"-{round_}")}, "the ref files follow the store"
        for work in works:
            must(work, "fetch", "-q", repos.signed(name), "main")
            must(work, "reset", "-q", "--hard", "FETCH_HEAD")
            (work / "page.html").write_text(f"{work.name} {round_}\n")
            must(work, "commit", "-qam", "next")


# -- who may ----------------------------------------------------------------------------------------------------------


def test_who_is_let_in(repos: Repositories, name: str, tmp_path: Path) -> None:
    def status(url: str, **headers: str) -> int:
        request = urllib.request.Request(f"http://{repos.host}/v1/repos/{url}/info/refs?service=git-upload-pack", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as found:
                return int(found.status)
        except urllib.error.HTTPError as error:
            if error.code == 401:
                assert error.headers["WWW-Authenticate"].startswith("Basic realm=")
            error.close()
            return error.code

    def basic(url: str) -> dict[str, str]:
        user, _, password = urllib.request.unquote(url.split("//")[1].rpartition("@")[0]).partition(":")
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    good = repos.signed(name)
    assert status(name) == 401
    assert status(name, Authorization="Basic %%%") == 401
    assert status(name, **basic(good)) == 200
    assert status(name, **basic(repos.with_password(name, "AKIAUNKNOWN", "20260101T000000Zabc"))) == 403
    user, _, password = urllib.request.unquote(good.split("//")[1].rpartition("@")[0]).partition(":")
    forged = password[:-1] + ("0" if password[-1] != "0" else "1")
    assert status(name, **basic(repos.with_password(name, user, forged))) == 403
    assert status(name, **basic(repos.signed("another"))) == 403, "a signature is for one repository"
    assert status("no-such", **basic(repos.signed("no-such"))) == 404


def test_service_specific_credentials(repos: Repositories, name: str, tmp_path: Path) -> None:
    iam = repos.cloud.client("iam")
    iam.create_user(UserName="dana")
    made = iam.create_service_specific_credential(UserName="dana", ServiceName="codecommit.amazonaws.com")["ServiceSpecificCredential"]
    url = repos.with_password(name, made["ServiceUserName"], made["ServicePassword"])
    work = Work(tmp_path / "work")
    work.commit()
    assert "403" in work.push(url).stderr, "known, and permitted nothing"
    allow = {"Effect": "Allow", "Action": ["codecommit:GitPush", "codecommit:GitPull"], "Resource": f"arn:aws:codecommit:*:*:{name}"}
    iam.put_user_policy(UserName="dana", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert work.push(url).returncode == 0
    iam.update_service_specific_credential(
        UserName="dana", ServiceSpecificCredentialId=made["ServiceSpecificCredentialId"], Status="Inactive"
    )
    assert "403" in git(work.path, "ls-remote", url).stderr


def test_a_branch_that_a_policy_guards(repos: Repositories, name: str, tmp_path: Path) -> None:
    """The policy of the CodeCommit user guide, "Limit pushes and merges to branches"."""
    iam = repos.cloud.client("iam")
    iam.create_user(UserName="erik")
    guard = {
        "Effect": "Deny",
        "Action": ["codecommit:GitPush", "codecommit:DeleteBranch", "codecommit:PutFile", "codecommit:MergeBranchesByFastForward"],
        "Resource": f"arn:aws:codecommit:us-east-1:123456789012:{name}",
        "Condition": {
            "StringEqualsIfExists": {"codecommit:References": ["refs/heads/main", "refs/heads/prod"]},
            "Null": {"codecommit:References": "false"},
        },
    }
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "codecommit:*", "Resource": "*"}, guard]}
    iam.put_user_policy(UserName="erik", PolicyName="p", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="erik")["AccessKey"]
    url = repos.signed(name, key["AccessKeyId"], key["SecretAccessKey"])
    work = Work(tmp_path / "work")
    work.commit()
    denied = work.push(url)
    assert denied.returncode != 0 and "[remote rejected] main -> main (You don't have permission" in denied.stderr
    assert repos.refs(name) == {}
    assert work.push(url, "main:feature").returncode == 0
    assert set(repos.refs(name)) == {"refs/heads/feature"}
    both = git(work.path, "push", url, "main:feature2", "main:prod")
    assert both.returncode != 0 and "refs/heads/prod" not in repos.refs(name)


# -- what is not a push -----------------------------------------------------------------------------------------------


def pkt(text: str) -> bytes:
    data = text.encode()
    return b"%04x" % (len(data) + 4) + data


def send(repos: Repositories, name: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    user, _, password = urllib.request.unquote(repos.signed(name).split("//")[1].rpartition("@")[0]).partition(":")
    headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(f"http://{repos.host}/v1/repos/{name}/git-receive-pack", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def one(ref: str, new: str, old: str = ZERO) -> bytes:
    return pkt(f"{old} {new} {ref}\0report-status\n") + b"0000"


MISSING = "1" * 40


@pytest.mark.parametrize(
    "body, status, said",
    [
        pytest.param(b"", 400, b"", id="empty"),
        pytest.param(b"zzzz", 400, b"", id="no length"),
        pytest.param(b"0001", 400, b"", id="a length that cannot be"),
        pytest.param(b"00ff" + b"x", 400, b"", id="cut off"),
        pytest.param(pkt("hello\n") + b"0000", 400, b"", id="no command"),
        pytest.param(b"0000", 200, b"unpack ok", id="no commands, as git asks before a large push"),
        pytest.param(one("refs/heads/x", MISSING), 200, b"missing necessary objects", id="a commit that nobody has"),
        pytest.param(one("refs/heads/x", MISSING) + b"PACKbroken", 200, b"ng refs/heads/x unpacker error", id="a broken pack"),
        pytest.param(one("refs/heads/x", MISSING) + b"PACK" + b"\0" * 100_000, 200, b"unpacker error", id="a long broken pack"),
    ],
)
def test_bodies_that_are_no_push(repos: Repositories, name: str, body: bytes, status: int, said: bytes) -> None:
    found = send(repos, name, body)
    assert found[0] == status and said in found[1]
    assert repos.refs(name) == {}


def test_refs_that_no_clone_could_hold(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    tip = work.commit()
    work.push(repos.signed(name))
    blob = must(work.path, "rev-parse", "HEAD:page.html")
    for ref, new, said in (
        ("refs/tags/a b", tip, b"invalid reference name"),
        ("refs/tags/a..b", tip, b"invalid reference name"),
        ("refs/heads/a\nb", tip, b"invalid reference name"),
        ("refs/heads/" + tip, tip, b"invalid reference name"),
        ("refs/notes/x", tip, b"invalid reference name"),
        ("HEAD", tip, b"invalid reference name"),
        ("refs/heads/gone", ZERO, b"there is no such reference"),
        ("refs/heads/blob", blob, b"a branch must name a commit"),
    ):
        status, body = send(repos, name, one(ref, new))
        assert status == 200 and said in body, (ref, body)
    stale = send(repos, name, one("refs/heads/main", tip, blob))
    assert b"it has moved meanwhile" in stale[1]
    twice = pkt(f"{ZERO} {tip} refs/heads/t\0report-status\n") + pkt(f"{ZERO} {tip} refs/heads/t\n") + b"0000"
    assert b"more than one update" in send(repos, name, twice)[1]
    assert repos.refs(name) == {"refs/heads/main": tip, "refs/heads/t": tip}


def test_a_body_that_unpacks_without_end_is_taken_in_pieces(repos: Repositories, name: str) -> None:
    bomb = gzip.compress(b"zzzz" + b"\0" * (200 << 20), 9)
    before = memory(repos)
    assert send(repos, name, bomb, **{"Content-Encoding": "gzip"})[0] == 400
    assert memory(repos) - before < 40 << 20
    assert send(repos, name, b"no gzip", **{"Content-Encoding": "gzip"})[0] == 400


def memory(repos: Repositories) -> int:
    """The server's greatest resident memory so far."""
    pid = json.loads((repos.cloud.data / "run.json").read_text())["pid"]
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def test_a_large_push_and_clone_stream(repos: Repositories, name: str, tmp_path: Path) -> None:
    work = Work(tmp_path / "work")
    work.commit()
    work.push(repos.signed(name))
    (work.path / "large.bin").write_bytes(os.urandom(20 << 20))
    work.commit()
    before = memory(repos)
    assert work.push(repos.signed(name)).returncode == 0
    must(tmp_path, "clone", "-q", repos.signed(name), "clone")
    assert memory(repos) - before < 12 << 20
    assert (tmp_path / "clone/large.bin").read_bytes() == (work.path / "large.bin").read_bytes()


def archive(files: dict[str, tuple[int, str]]) -> bytes:
    """A zip as Unix makes it: path -> (mode, content)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, (mode, content) in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = mode << 16
            zipped.writestr(entry, content)
    return made.getvalue()


def test_a_stacks_repository_begins_with_the_code_of_a_zip(repos: Repositories, name: str, tmp_path: Path) -> None:
    s3, stacks = repos.cloud.client("s3"), repos.cloud.client("cloudformation")
    s3.create_bucket(Bucket="code")
    s3.put_bucket_versioning(Bucket="code", VersioningConfiguration={"Status": "Enabled"})
    files = {
        "site/index.html": (0o100644, "hello\n"),
        "deploy.sh": (0o100755, "#!/bin/sh\n"),
        "empty": (0o100644, ""),
        "l": (0o120777, "empty"),
    }
    version = s3.put_object(Bucket="code", Key="app.zip", Body=archive(files))["VersionId"]
    s3.put_object(Bucket="code", Key="app.zip", Body=b"another, which is no zip at all")
    code = {"S3": {"Bucket": "code", "Key": "app.zip", "ObjectVersion": version}, "BranchName": "trunk"}

    stack = name.replace("_", "-")

    def template(code: dict[str, Any], description: str = "first") -> str:
        properties = {"RepositoryName": f"{name}-seeded", "RepositoryDescription": description, "Code": code}
        return json.dumps({"Resources": {"Code": {"Type": "AWS::CodeCommit::Repository", "Properties": properties}}})

    stacks.create_stack(StackName=stack, TemplateBody=template(code))
    stacks.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    must(tmp_path, "clone", "-q", repos.signed(f"{name}-seeded"), "clone")
    clone = tmp_path / "clone"
    assert (
        must(clone, "log", "--format=%an <%ae>: %s")
        == "AWS CodeCommit <noreply-awscodecommit@amazon.com>: Initial commit by AWS CodeCommit"
    )
    assert must(clone, "branch", "--show-current") == "trunk"
    assert (clone / "site/index.html").read_text() == "hello\n" and (clone / "empty").read_bytes() == b""
    assert os.access(clone / "deploy.sh", os.X_OK) and os.readlink(clone / "l") == "empty"
    before = repos.refs(f"{name}-seeded")
    stacks.update_stack(StackName=stack, TemplateBody=template({"S3": {"Bucket": "nowhere", "Key": "x"}}, "second"))
    stacks.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    assert repos.refs(f"{name}-seeded") == before, "code counts when a repository is made"
    shown = repos.api.get_repository(repositoryName=f"{name}-seeded")["repositoryMetadata"]
    assert (shown["repositoryDescription"], shown["defaultBranch"]) == ("second", "trunk")
