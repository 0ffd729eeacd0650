"""The parts of the build's runner: buildspec grammar, artifact patterns, archives, masking."""

from __future__ import annotations

import io
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from windtunnel.guest.build_artifacts import ArtifactError, collect, object_key, pack, upload
from windtunnel.guest.build_log import Speaker
from windtunnel.guest.build_runner import is_inline, secret_reference
from windtunnel.guest.build_source import SourceError, extract, repository
from windtunnel.guest.build_spec import ArtifactSpec, OnFailure, SpecError, parse

FULL = """
version: 0.2
run-as: ec2-user
env:
  shell: /bin/sh
  variables: {A: 1.10, B: yes, C: ""}
  parameter-store: {P: /a/b}
  secrets-manager: {S: "id:key"}
  exported-variables: [A]
phases:
  install:
    runtime-versions: {python: 3.12}
    commands: echo one
  build:
    run-as: root
    on-failure: RETRY-2-time.*out
    commands:
      - &again echo two
      - |
        multi
        line
      - *again
    finally: [echo fin]
  post_build:
artifacts:
  files: ['**/*']
  name: n-$(date)
  discard-paths: yes
  base-directory: out
  exclude-paths: [x]
  secondary-artifacts:
    other: {files: [a], base-directory: b}
reports: {r: {files: [x]}}
other: 1
"""


def test_the_whole_grammar() -> None:
    spec = parse(FULL)
    assert (spec.version, spec.run_as, spec.shell) == ("0.2", "ec2-user", "sh")
    assert spec.variables == {"A": "1.10", "B": "yes", "C": ""}
    assert (spec.parameters, spec.secrets, spec.exported) == ({"P": "/a/b"}, {"S": "id:key"}, ["A"])
    assert spec.phases["install"].commands == ["echo one"]
    assert spec.phases["install"].runtimes == {"python": "3.12"}
    build = spec.phases["build"]
    assert build.commands == ["echo two", "multi\nline\n", "echo two"]
    assert (build.finally_, build.run_as, build.on_failure) == (["echo fin"], "root", OnFailure("RETRY", 2, "time.*out"))
    assert spec.phases["post_build"].commands == []
    assert spec.artifacts == ArtifactSpec(["**/*"], "n-$(date)", "out", True, ["x"])
    assert spec.secondary == {"other": ArtifactSpec(["a"], base="b")}
    assert any("reports" in note for note in spec.notes) and any("unknown key other" in note for note in spec.notes)


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param("version: 0.2\na: b: c\n", "yaml: line 2: mapping values are not allowed", id="not YAML"),
        pytest.param("version: 0.3\nphases: {}\n", "Invalid buildspec version", id="an unknown version"),
        pytest.param("phases: {}\n", "version is missing", id="no version"),
        pytest.param("version: 0.2\n", "phases must be specified", id="no phases"),
        pytest.param("- a\n", "a mapping", id="a list"),
        pytest.param("version: 0.2\nphases:\n  compile: {}\n", "Invalid phase name: compile", id="an unknown phase"),
        pytest.param(
            "version: 0.2\nphases:\n  build:\n    commands:\n      - echo a\n      - echo a: b\n",
            "Expected Commands[1] to be of string type: found subkeys instead at line 6, value of the key tag on line 5 might be empty",
            id="a command with a colon",
        ),
        pytest.param("version: 0.2\nphases: {build: {commands: {a: b}}}\n", "list of strings", id="commands that are a map"),
        pytest.param("version: 0.2\nphases: {build: {on-failure: MAYBE}}\n", "Invalid value for on-failure: MAYBE", id="on-failure"),
        pytest.param("version: 0.2\nenv: {shell: pwsh}\nphases: {}\n", "Unsupported shell: pwsh", id="another shell"),
        pytest.param("version: 0.2\nphases: {build: {steps: []}}\n", "steps are not run", id="steps"),
        pytest.param("version: 0.2\nphases: [\n", "yaml: line", id="an open bracket"),
        pytest.param("version: 0.2\nrun-as: [a]\nphases: {}\n", "Expected run-as to be of string type", id="a list for a name"),
        pytest.param("version: 0.2\n" + "x" * (1 << 20), "longer than", id="too long"),
        pytest.param("version: 0.2\nphases: " + "[" * 50_000, "", id="too deep"),
    ],
)
def test_what_is_wrong_says_where(text: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(text)
    assert words in str(caught.value)


def test_a_bomb_of_aliases_costs_what_its_text_is_long() -> None:
    lines = ["version: 0.2", "a0: &a0 [x,x,x,x,x,x,x,x,x,x]", "m0: &m0 {k: v}"]
    for n in range(1, 60):
        lines.append(f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 10) + "]")
        lines.append(f"m{n}: &m{n} {{<<: [" + ",".join([f"*m{n - 1}"] * 10) + "]}")
    lines.append("env: {variables: *m59}")
    lines.append("phases: {build: {commands: *a59}}")
    with pytest.raises(SpecError, match=r"Expected Commands\[0\]"):
        parse("\n".join(lines))


def test_merged_keys_are_overridden_by_own_ones() -> None:
    spec = parse("version: 0.2\nx: &x {A: 1, B: 1}\nenv: {variables: {<<: *x, B: 2}}\nphases: {}\n")
    assert spec.variables == {"A": "1", "B": "2"}


# -- artifacts ----------------------------------------------------------------------------------------------------------------


@pytest.fixture()
def source(tmp_path: Path) -> Path:
    for name in ("a.txt", "out/b.txt", "out/c.js", "out/deep/d.txt", "my-one/e", "my-two/f"):
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "src"


@pytest.mark.parametrize(
    "spec, expected",
    [
        pytest.param(ArtifactSpec(["a.txt"]), ["a.txt"], id="one file"),
        pytest.param(ArtifactSpec(["**/*"]), ["a.txt", "my-one/e", "my-two/f", "out/b.txt", "out/c.js", "out/deep/d.txt"], id="all files"),
        pytest.param(ArtifactSpec(["out/*"]), ["out/b.txt", "out/c.js"], id="one level"),
        pytest.param(ArtifactSpec(["out/**/*"]), ["out/b.txt", "out/c.js", "out/deep/d.txt"], id="below a directory"),
        pytest.param(ArtifactSpec(["**/*.txt"], base="out"), ["b.txt", "deep/d.txt"], id="the base directory is stripped"),
        pytest.param(ArtifactSpec(["**/*"], base="out", discard_paths=True), ["b.txt", "c.js", "d.txt"], id="paths discarded"),
        pytest.param(ArtifactSpec(["**/*"], base="my-*"), ["e", "f"], id="several base directories"),
        pytest.param(ArtifactSpec(["out/**/*"], exclude=["**/*.js"]), ["out/b.txt", "out/deep/d.txt"], id="exclusions"),
        pytest.param(ArtifactSpec(["./a.t?t", "out/[bc].txt"]), ["a.txt", "out/b.txt"], id="single characters"),
    ],
)
def test_files_of_an_artifact(source: Path, spec: ArtifactSpec, expected: list[str]) -> None:
    assert [file.name for file in collect(spec, str(source), lambda text: None)] == expected


class Bucket:
    """Takes what is put, as S3 would."""

    def __init__(self) -> None:
        self.put: dict[str, dict[str, str]] = {}

    def put_object(self, bucket: str, key: str, source: str, metadata: dict[str, str], headers: dict[str, str]) -> None:
        self.put[f"{bucket}/{key}"] = headers


@pytest.mark.parametrize("packaging", ["NONE", "ZIP"])
@pytest.mark.parametrize("key", ["", "arn:aws:kms:us-east-1:123456789012:key/k"])
def test_what_is_uploaded_is_encrypted_under_the_builds_key(source: Path, tmp_path: Path, packaging: str, key: str) -> None:
    artifacts = {"type": "S3", "location": "b", "packaging": packaging, **({"kmsKey": key} if key else {})}
    files, bucket = collect(ArtifactSpec(["a.txt"]), str(source), lambda text: None), Bucket()
    upload(bucket, artifacts, files, "out", "id", "arn", str(tmp_path), False)  # type: ignore[arg-type]
    [headers] = bucket.put.values()
    assert headers.get("x-amz-server-side-encryption-aws-kms-key-id", "") == key
    assert ("x-amz-server-side-encryption" in headers) is bool(key)


@pytest.mark.parametrize(
    "spec, words",
    [
        pytest.param(ArtifactSpec(["*.zip"]), "no matching artifact paths found", id="no file"),
        pytest.param(ArtifactSpec(["*"], base="none"), "no matching base directory path found for none", id="no base directory"),
    ],
)
def test_nothing_to_upload_is_an_error(source: Path, spec: ArtifactSpec, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        collect(spec, str(source), lambda text: None)


@pytest.mark.parametrize(
    "artifacts, name, expected",
    [
        pytest.param({"path": "p", "namespaceType": "BUILD_ID"}, "n.zip", "p/uuid/n.zip", id="path, build id and name"),
        pytest.param({"namespaceType": "NONE"}, "n", "n", id="a name alone"),
        pytest.param({"path": "/p/q/"}, "/", "p/q", id="the directory itself"),
        pytest.param({}, "/", "", id="the bucket itself"),
    ],
)
def test_where_an_artifact_goes(artifacts: dict[str, str], name: str, expected: str) -> None:
    assert object_key(artifacts, "uuid", name) == expected


def test_modes_and_links_survive_an_artifact(source: Path, tmp_path: Path) -> None:
    (source / "out/run.sh").write_text("#!/bin/sh\n")
    (source / "out/run.sh").chmod(0o755)
    (source / "out/link").symlink_to("b.txt")
    files = collect(ArtifactSpec(["**/*"], base="out", symlinks=True), str(source), lambda text: None)
    pack(files, str(tmp_path / "a.zip"), symlinks=True)
    extract(str(tmp_path / "a.zip"), str(tmp_path / "there"), "a.zip")
    assert stat.S_IMODE((tmp_path / "there/run.sh").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "there/link") == "b.txt"


# -- archives -----------------------------------------------------------------------------------------------------------------


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([("../x", "y")], id="a parent directory"),
        pytest.param([("/etc/x", "y")], id="an absolute path"),
        pytest.param([(link("d"), ".."), ("d/x", "y")], id="through a link"),
    ],
)
def test_an_archive_stays_in_its_directory(tmp_path: Path, entries: list[tuple[zipfile.ZipInfo | str, str]]) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as zipped:
        for name, content in entries:
            zipped.writestr(name, content)
    with pytest.raises(SourceError, match="outside"):
        extract(str(tmp_path / "evil.zip"), str(tmp_path / "inner" / "there"), "evil.zip")
    assert not (tmp_path / "inner" / "x").exists()


def test_what_is_no_zip_says_so(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no zip")
    with pytest.raises(SourceError, match="error while extracting in/x.zip: not a valid zip file"):
        extract(str(tmp_path / "x"), str(tmp_path / "there"), "in/x.zip")


# -- words --------------------------------------------------------------------------------------------------------------------


def spoken(tmp_path: Path, *lines: str, secrets: tuple[str, ...] = ()) -> list[str]:
    path = tmp_path / "spoken"
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    speaker = Speaker(fd)
    speaker.hide(secrets)
    for line in lines:
        speaker.line(line)
    os.close(fd)
    return [json.loads(line)["log"] for line in io.BytesIO(path.read_bytes())]


def test_secrets_are_masked(tmp_path: Path) -> None:
    said = spoken(tmp_path, "a s3cr3t here", "line two only", "key AKIAIOSFODNN7EXAMPLE.", "ab", secrets=("s3cr3t", "one\nline two", "ab"))
    assert said == ["a *** here", "*** only", "key ***.", "ab"]


def test_long_lines_are_parted(tmp_path: Path) -> None:
    assert [len(line) for line in spoken(tmp_path, "x" * 70_000, "")] == [32768, 32768, 4464, 0]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", False), ("buildspec.yml", False), ("ci/build.yaml", False), ("arn:aws:s3:::b/k", False),
        ("version: 0.2\nphases: {}", True), ("version: 0.2", True), ('{"version": 0.2}', True),
    ],
)  # fmt: skip
def test_a_buildspec_is_inline_or_a_place(text: str, expected: bool) -> None:
    assert is_inline(text) is expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("name", ("name", "", "", "")),
        ("name:key", ("name", "key", "", "")),
        ("name:key:AWSCURRENT:v", ("name", "key", "AWSCURRENT", "v")),
        ("arn:aws:secretsmanager:r:a:secret:n-x:key", ("arn:aws:secretsmanager:r:a:secret:n-x", "key", "", "")),
    ],
)
def test_a_secrets_reference(text: str, expected: tuple[str, str, str, str]) -> None:
    assert secret_reference(text) == expected


@pytest.mark.parametrize(
    "location",
    ["https://git-codecommit.us-east-1.amazonaws.com/v1/repos/app", "http://127.0.0.1:4566/v1/repos/app/", "codecommit::eu-west-1://app"],
)
def test_the_repository_of_a_location(location: str) -> None:
    assert repository(location) == "app"
