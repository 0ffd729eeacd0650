"""CloudFormation's helper scripts, part by part: which configs, files, archives, commands, triggers; hooks; signals; who calls."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import pytest

from windtunnel.guest import dnf
from windtunnel.guest.aws import ApiError
from windtunnel.guest.cfn import (
    build,
    commands,
    files,
    hooks,
    hup_command,
    init_command,
    metadata_command,
    mustache,
    pip_command,
    services,
    signal_command,
    sources,
    stacks,
)
from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.fetching import Fetcher, Place, place
from windtunnel.guest.cfn.logs import Log
from windtunnel.guest.cfn.plan import asked_configsets, configs
from windtunnel.guest.cfn.stacks import Access, Resource

Answer = tuple[int, bytes]


class Server:
    """Answers by path; keeps what it was asked."""

    def __init__(self, answers: Callable[[str, str, bytes], Answer]) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, out = answers(self.command, self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_PUT = do_POST = handle_one

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


Serve = Callable[[Callable[[str, str, bytes], Answer]], Server]


@pytest.fixture()
def serve() -> Iterator[Serve]:
    made: list[Server] = []

    def make(answers: Callable[[str, str, bytes], Answer]) -> Server:
        made.append(Server(answers))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


@pytest.fixture()
def log(tmp_path: Path) -> Log:
    return Log(str(tmp_path / "log"), verbose=True)


def fetcher(log: Log, authentication: dict[str, Any] | None = None, endpoint: str = "") -> Fetcher:
    return Fetcher(authentication or {}, endpoint, "us-east-1", log, patience=1.0)


# -- configsets -------------------------------------------------------------------------------------------------------

INIT: dict[str, Any] = {
    "configSets": {"test1": ["1"], "test2": [{"ConfigSet": "test1"}, "2"], "default": [{"ConfigSet": "test2"}], "one": "2", "round": [{"ConfigSet": "round"}]},
    "1": {"commands": {}},
    "2": {"files": {}},
}  # fmt: skip


@pytest.mark.parametrize(
    "init, asked, expected",
    [
        pytest.param({"config": {}}, [], ["config"], id="no configsets: the config named config"),
        pytest.param(INIT, [], ["1", "2"], id="the default set, through a set in a set"),
        pytest.param(INIT, ["test1"], ["1"], id="one set"),
        pytest.param(INIT, ["one", "test1"], ["2", "1"], id="several, in the order asked for"),
    ],
)
def test_configs(init: dict[str, Any], asked: list[str], expected: list[str]) -> None:
    assert [config.name for config in configs(init, asked)] == expected


@pytest.mark.parametrize(
    "init, asked, said",
    [
        pytest.param(INIT, ["nosuch"], "there is no configset named nosuch", id="an unknown set"),
        pytest.param({"configSets": {"a": ["x"]}}, ["a"], "there is no config named x", id="an unknown config"),
        pytest.param(INIT, ["round"], "contains itself: round > round", id="a circle"),
        pytest.param({"configSets": {"a": ["x"]}, "x": {}}, [], "no configset named default", id="sets, but no default one"),
        pytest.param(
            {"config": {"files": ["x"]}}, [], "the section files of the config config is not a map", id="a section that is a list"
        ),
    ],
)
def test_what_is_refused_before_anything_is_done(init: dict[str, Any], asked: list[str], said: str) -> None:
    with pytest.raises(Failed, match=said):
        configs(init, asked)


def test_configsets_of_the_command_line() -> None:
    assert asked_configsets(" InstallAndRun, second ,") == ["InstallAndRun", "second"]


# -- mustache ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "template, expected",
    [
        pytest.param("Content for {{name}}", "Content for test9", id="a variable"),
        pytest.param("{{ markup }} {{{markup}}} {{&markup}}", "&lt;b&gt; <b> <b>", id="escaped, and not"),
        pytest.param("{{db.host}}:{{db.port}}", "h:5432", id="dotted names"),
        pytest.param("[{{nosuch}}{{db.nosuch.deeper}}]", "[]", id="what is not there is empty"),
        pytest.param("a\n{{#hosts}}\n- {{.}}\n{{/hosts}}\nb\n", "a\n- x\n- y\nb\n", id="a section for each item, its lines gone"),
        pytest.param("{{#users}}{{name}} {{/users}}", "u1 u2 ", id="items that are maps"),
        pytest.param("{{#db}}{{host}}{{/db}}{{^db}}none{{/db}}", "h", id="a section of one"),
        pytest.param("{{^empty}}none{{/empty}}{{#empty}}some{{/empty}}", "none", id="an inverted section"),
        pytest.param("x{{! a comment }}y", "xy", id="a comment"),
        pytest.param("{{=<% %>=}}<%name%> {{name}}", "test9 {{name}}", id="other delimiters"),
    ],
)
def test_mustache(template: str, expected: str) -> None:
    context = {
        "name": "test9", "markup": "<b>", "db": {"host": "h", "port": 5432}, "hosts": ["x", "y"], "empty": [],
        "users": [{"name": "u1"}, {"name": "u2"}],
    }  # fmt: skip
    assert mustache.render(template, context) == expected


@pytest.mark.parametrize("template", ["{{#a}}", "{{/a}}", "{{a", "{{> part}}"])
def test_mustache_that_cannot_be_rendered_says_so(template: str) -> None:
    with pytest.raises(Failed, match="mustache"):
        mustache.render(template, {})


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, expected",
    [
        pytest.param({"content": "hello\n"}, b"hello\n", id="text"),
        pytest.param({"content": {"a": [1]}}, b'{\n    "a": [\n        1\n    ]\n}', id="an object"),
        pytest.param({"content": "aGk=", "encoding": "base64"}, b"hi", id="base64"),
        pytest.param({"content": "for {{n}}", "context": {"n": "x"}}, b"for x", id="a template"),
        pytest.param({"content": "for {{n}}"}, b"for {{n}}", id="without a context it is none"),
        pytest.param({"content": base64.b64encode(b"{{n}}").decode(), "encoding": "base64", "context": {"n": "x"}}, b"x", id="a template in base64"),
    ],
)  # fmt: skip
def test_content(given: dict[str, Any], expected: bytes) -> None:
    assert files.content("/f", given) == expected


@pytest.mark.parametrize(
    "given, said",
    [
        pytest.param({}, "neither content nor source", id="nothing"),
        pytest.param({"content": "x", "encoding": "gzip"}, "encoding gzip", id="an unknown encoding"),
        pytest.param({"content": "x", "source": "http://h/x"}, "both content and source", id="both"),
        pytest.param({"content": "x", "mode": "rw"}, "not an octal", id="a mode that is none"),
        pytest.param({"content": "x", "owner": "nosuch"}, "nosuch is not a valid user", id="an unknown user"),
        pytest.param({"content": "x", "group": "nosuch"}, "nosuch is not a valid group", id="an unknown group"),
        pytest.param({"source": "ftp://h/x"}, "only http, https and s3", id="a scheme that cannot be retrieved"),
        pytest.param({"content": "", "mode": "120777"}, "needs its target", id="a symlink to nowhere"),
    ],
)
def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, log: Log, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Failed, match=said):
        files.files({str(tmp_path / "d" / "f"): given}, fetcher(log), log)
    assert not list((tmp_path / "d").glob("*")) if (tmp_path / "d").exists() else True


def test_files_are_written_kept_and_counted_only_when_they_change(tmp_path: Path, log: Log) -> None:
    path = tmp_path / "etc" / "app.conf"
    section = {str(path): {"content": "one\n", "mode": "000640"}}
    assert files.files(section, fetcher(log), log) == [str(path)]
    assert path.read_text() == "one\n" and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert files.files(section, fetcher(log), log) == []
    assert not path.with_name("app.conf.bak").exists()
    section[str(path)] = {"content": "two\n"}
    assert files.files(section, fetcher(log), log) == [str(path)]
    assert path.read_text() == "two\n" and path.with_name("app.conf.bak").read_text() == "one\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "without a mode it keeps the one it had"
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["app.conf", "app.conf.bak"]


def test_a_symlink_and_the_mode_of_its_target(tmp_path: Path, log: Log) -> None:
    target, link = tmp_path / "a", tmp_path / "b"
    section = {str(target): {"content": "x", "mode": "000600"}, str(link): {"content": str(target), "mode": "120644"}}
    assert files.files(section, fetcher(log), log) == [str(target), str(link)]
    assert os.readlink(link) == str(target) and stat.S_IMODE(target.stat().st_mode) == 0o644
    assert files.files({str(link): section[str(link)]}, fetcher(log), log) == []


# -- downloads --------------------------------------------------------------------------------------------------------

HERE = "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    "url, expected",
    [
        pytest.param("https://b.s3.us-east-1.amazonaws.com/a/b%20c", Place("b", "a/b c", "", True), id="virtual-hosted"),
        pytest.param("http://s3.amazonaws.com/b/k", Place("b", "k", "", True), id="path style"),
        pytest.param("https://s3-eu-west-1.amazonaws.com/b/k", Place("b", "k", "", True), id="the older regional name"),
        pytest.param(f"{HERE}/b/k?versionId=3", Place("b", "k", "3", False), id="this cloud's endpoint, a version"),
        pytest.param("s3://b/k/l", Place("b", "k/l", "", False), id="s3://"),
        pytest.param(f"{HERE}/b/k?X-Amz-Algorithm=A&X-Amz-Signature=1", None, id="a presigned URL goes as it is"),
        pytest.param("https://example.com/b/k", None, id="elsewhere"),
        pytest.param("https://example.com.s3.evil.test/b/k", None, id="a name that only looks like it"),
    ],
)
def test_which_object_a_url_names(url: str, expected: Place | None) -> None:
    assert place(url, HERE) == expected


def test_a_source_is_retrieved_with_the_authentication_that_covers_it(tmp_path: Path, log: Log, serve: Serve) -> None:
    server = serve(lambda method, path, body: (200, path.encode()))
    s3 = {"type": "S3", "buckets": ["private"], "accessKeyId": "AKIDEXAMPLE", "secretKey": "s"}
    basic = {"type": "basic", "username": "u", "password": "p", "uris": [f"{server.url.partition('://')[2]}/"]}
    got = fetcher(log, {"s3": s3}, server.url)
    got.get(f"{server.url}/private/key", str(tmp_path / "a"))
    got.get(f"{server.url}/public/key", str(tmp_path / "b"))
    fetcher(log, {"basic": basic}).get(f"{server.url}/plain", str(tmp_path / "c"))
    assert [(tmp_path / name).read_text() for name in "abc"] == ["/private/key", "/public/key", "/plain"]
    signed, anonymous, with_password = (headers.get("authorization", "") for _, _, headers, _ in server.asked)
    assert signed.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") and anonymous == ""
    assert with_password == "Basic " + base64.b64encode(b"u:p").decode()


def test_what_a_server_refuses_fails_at_once_and_by_its_url(tmp_path: Path, log: Log, serve: Serve) -> None:
    server = serve(lambda method, path, body: (403, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(Failed, match=f"Failed to retrieve {server.url}/bucket/key: AccessDenied"):
        fetcher(log, {}, server.url).get(f"{server.url}/bucket/key", str(tmp_path / "a"))
    assert len(server.asked) == 1 and not (tmp_path / "a").exists()


def test_an_authentication_that_is_not_there_is_named(tmp_path: Path, log: Log) -> None:
    with pytest.raises(Failed, match="no authentication named Creds"):
        fetcher(log, {}, HERE).get("s3://bucket/key", str(tmp_path / "a"), "Creds")


# -- sources ----------------------------------------------------------------------------------------------------------


def tar(names: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{mode}") as made:
        for name, data in names.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            made.addfile(info, io.BytesIO(data))
    return out.getvalue()


def through_a_link() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as made:
        link = tarfile.TarInfo("d")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        made.addfile(link)
        made.addfile(tarfile.TarInfo("d/f"), io.BytesIO(b""))
    return out.getvalue()


def zipped(names: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in names.items():
            made.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "archive",
    [
        pytest.param(tar({"d/f": b"x", "g": b"y"}, ""), id="tar"),
        pytest.param(tar({"d/f": b"x", "g": b"y"}, "gz"), id="tar.gz"),
        pytest.param(tar({"d/f": b"x", "g": b"y"}, "bz2"), id="tar.bz2"),
        pytest.param(zipped({"d/f": b"x", "g": b"y"}), id="zip"),
    ],
)
def test_an_archive_is_unpacked_into_its_directory(tmp_path: Path, log: Log, serve: Serve, archive: bytes) -> None:
    server = serve(lambda method, path, body: (200, archive))
    target = tmp_path / "app"
    target.mkdir()
    (target / "g").write_text("old")
    (target / "kept").write_text("kept")
    assert sources.sources({str(target): f"{server.url}/a"}, fetcher(log), log) == [str(target)]
    assert ((target / "d" / "f").read_text(), (target / "g").read_text(), (target / "kept").read_text()) == ("x", "y", "kept")


@pytest.mark.parametrize(
    "archive, said",
    [
        pytest.param(b"plain text", "neither a tar nor a zip", id="no archive"),
        pytest.param(tar({"../f": b"x"}, "gz"), "outside of its directory", id="a tar that climbs out"),
        pytest.param(zipped({"/etc/f": b"x"}), "outside of its directory", id="a zip that starts at the root"),
        pytest.param(through_a_link(), "behind a symlink", id="a tar that goes through its own symlink"),
        pytest.param(tar({"f": os.urandom(20000)}, "gz")[:10000], "cannot be unpacked", id="half an archive"),
    ],
)
def test_what_cannot_be_unpacked_changes_nothing(tmp_path: Path, log: Log, serve: Serve, archive: bytes, said: str) -> None:
    server = serve(lambda method, path, body: (200, archive))
    with pytest.raises(Failed, match=said):
        sources.sources({str(tmp_path / "app"): f"{server.url}/a"}, fetcher(log), log)
    assert not (tmp_path / "app").exists()


def test_githubs_top_directory_is_left_out(tmp_path: Path, log: Log) -> None:
    class Local(Fetcher):
        def get(self, url: str, target: str, name: str = "") -> None:
            Path(target).write_bytes(tar({"user1-cfn-demo-abc123/readme": b"x"}, "gz"))

    got = Local({}, "", "us-east-1", log)
    sources.sources({str(tmp_path / "app"): "https://github.com/user1/cfn-demo/tarball/master"}, got, log)
    assert (tmp_path / "app" / "readme").read_text() == "x"


# -- commands ---------------------------------------------------------------------------------------------------------


def test_commands_run_by_name_with_test_environment_and_directory(tmp_path: Path, log: Log) -> None:
    out = tmp_path / "out"
    section = {
        "2_list": {"command": ["sh", "-c", f"echo list $0 >> {out}", "a b"]},
        "1_line": {"command": f'echo "$MAGIC in $PWD" >> {out}', "env": {"MAGIC": "hi"}, "cwd": str(tmp_path)},
        "3_skipped": {"command": f"echo never >> {out}", "test": "test -e /no/such/file"},
        "4_bash": {"command": f"[[ a == a ]] && source /dev/null && echo bash >> {out}", "test": f"test -e {out}"},
        "5_fails": {"command": "exit 3", "ignoreErrors": "true"},
    }
    assert commands.commands(section, log, log) == ["1_line", "2_list", "4_bash", "5_fails"]
    assert out.read_text() == f"hi in {tmp_path}\nlist a b\nbash\n"


def test_a_command_that_fails_ends_the_run_by_its_name(tmp_path: Path, log: Log) -> None:
    section = {"1": {"command": "echo said so; exit 2", "ignoreErrors": False}, "2": {"command": f"touch {tmp_path}/never"}}
    with pytest.raises(Failed, match="Command 1 failed"):
        commands.commands(section, log, log)
    assert not (tmp_path / "never").exists() and "\tsaid so" in (tmp_path / "log").read_text()


def test_the_environment_of_a_command_is_its_own_alone(tmp_path: Path, log: Log) -> None:
    commands.commands({"1": {"command": f"/usr/bin/env > {tmp_path}/env", "env": {"A": "b"}}}, log, log)
    names = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    assert "A" in names and "HOME" not in names


# -- services ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, expected",
    [
        pytest.param({"files": ["/etc/f"]}, True, id="a file"),
        pytest.param({"sources": ["/var/www/html/"]}, True, id="a source"),
        pytest.param({"packages": {"yum": ["php", "httpd"]}}, True, id="a package of its manager"),
        pytest.param({"packages": {"apt": ["httpd"]}}, False, id="a package of another"),
        pytest.param({"commands": ["build"]}, True, id="a command"),
        pytest.param({"files": ["/etc/g"], "commands": ["other"]}, False, id="what did not change"),
        pytest.param({}, False, id="nothing"),
    ],
)
def test_what_restarts_a_service(given: dict[str, Any], expected: bool) -> None:
    changes = services.Changes({"/etc/f"}, {"/var/www/html"}, {"yum": {"httpd"}}, {"build"})
    assert services.triggered(given, changes) is expected


def test_a_service_that_is_not_there_is_neither_enabled_nor_running(log: Log) -> None:
    services.services({"sysvinit": {"no-such-service": {"enabled": "false", "ensureRunning": "false"}}}, services.nothing(), log, log)
    with pytest.raises(Failed, match="windows"):
        services.services({"windows": {"w": {}}}, services.nothing(), log, log)


# -- the run ----------------------------------------------------------------------------------------------------------


def tools(log: Log) -> build.Tools:
    return build.Tools(log, log, fetcher(log))


def test_a_run_works_through_its_configs_and_can_be_resumed(tmp_path: Path, log: Log) -> None:
    state, out, gate = str(tmp_path / "state"), tmp_path / "out", tmp_path / "gate"
    init = {
        "configSets": {"default": ["a", "b"]},
        "a": {"files": {str(out): {"content": "file\n"}}, "commands": {"1": {"command": f"echo command >> {out}"}}, "comment": {}},
        "b": {"commands": {"1": {"command": f"test -e {gate} && echo b >> {out}"}}},
    }
    metadata = {build.INIT: init}
    with pytest.raises(Failed, match="Command 1 failed"):
        build.build(build.planned(metadata, []), metadata, tools(log), state)
    assert out.read_text() == "file\ncommand\n"
    gate.touch()
    todo, held = build.resumed(state)
    assert [config.name for config in todo] == ["b"] and held == metadata
    build.build(todo, held, tools(log), state)
    assert out.read_text() == "file\ncommand\nb\n"
    with pytest.raises(Failed, match="no run"):
        build.resumed(state)
    assert stat.S_IMODE(os.stat(f"{state}/metadata.json").st_mode) == 0o600
    assert "the config a has comment, which is no section" in " ".join((tmp_path / "log").read_text().split()).lower()


def test_cfn_init_from_a_file_from_a_stack_and_resumed(tmp_path: Path, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    out, gate, state = tmp_path / "out", tmp_path / "gate", str(tmp_path / "state")
    metadata = {build.INIT: {"config": {"commands": {"1": {"command": f"test -e {gate} && echo ran >> {out}"}}}}}
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    assert init_command.main([str(tmp_path / "metadata.json")], str(tmp_path), state) == 1
    assert capsys.readouterr().err == "Error occurred during build: Command 1 failed\n"
    gate.touch()
    text = escape(json.dumps(metadata))
    server = serve(lambda method, path, body: (200, f"<r><Metadata>{text}</Metadata></r>".encode()))
    keys = ["--access-key", "AKIDEXAMPLE", "--secret-key", "s", "--url", server.url]
    assert init_command.main(["--resume", *keys], str(tmp_path), state) == 0
    assert init_command.main(["-v", "-s", "web", "-r", "Web", *keys], str(tmp_path), state) == 0
    assert out.read_text() == "ran\nran\n"
    assert init_command.main(["-s", "web", "-r", "Web", "-c", "nosuch", *keys], str(tmp_path), state) == 1
    assert "there is no configset named nosuch" in (tmp_path / "cfn-init.log").read_text()
    with pytest.raises(SystemExit) as ended:
        init_command.main(["-s", "web"], str(tmp_path), state)
    assert ended.value.code == 2


def test_metadata_without_init_say_so() -> None:
    with pytest.raises(Failed, match="Could not find 'AWS::CloudFormation::Init'"):
        build.planned({"Other": 1}, [])


def test_the_package_is_there_under_every_name() -> None:
    url = "https://s3.amazonaws.com/cloudformation-examples/aws-cfn-bootstrap-latest.amzn1.noarch.rpm"
    assert dnf.plan(["aws-cfn-bootstrap", url]) == dnf.Plan([], ["aws-cfn-bootstrap", "aws-cfn-bootstrap"], "")
    assert "RPM files" in dnf.plan(["https://example.com/aws-cfn-bootstrap-x/other.rpm"]).complaint


@pytest.mark.parametrize(
    "argv, left",
    [
        ("install https://s3.amazonaws.com/cloudformation-examples/aws-cfn-bootstrap-py3-latest.tar.gz", None),
        ("install -U aws-cfn-bootstrap", None),
        ("install ./aws-cfn-bootstrap-2.0/", None),
        ("install --upgrade pip aws-cfn-bootstrap==2.0", "install --upgrade pip"),
        ("install requests", "install requests"),
        ("show aws-cfn-bootstrap", "show aws-cfn-bootstrap"),
        ("install aws-cfn-bootstrapper", "install aws-cfn-bootstrapper"),
    ],
)
def test_what_pip_is_still_asked(argv: str, left: str | None) -> None:
    assert pip_command.remaining(argv.split()) == (left.split() if left else None)


# -- who calls --------------------------------------------------------------------------------------------------------

DOCUMENT = {"/latest/dynamic/instance-identity/document": '{"a": 1}', "/latest/dynamic/instance-identity/signature": "c2\nln\n"}
PROOF = "CFN_V1 " + base64.b64encode(b'{"a": 1}').decode() + ":c2ln"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "s"}
FOUND = (
    b'<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStackResourceResult>'
    b"<StackResourceDetail><LogicalResourceId>Web</LogicalResourceId><PhysicalResourceId>i-1</PhysicalResourceId>"
    b"<Metadata>{&quot;AWS::CloudFormation::Init&quot;: {&quot;config&quot;: {}}}</Metadata></StackResourceDetail>"
    b"</DescribeStackResourceResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeStackResourceResponse>"
)


@pytest.mark.parametrize(
    "access, lookup, expected",
    [
        pytest.param(Access(), DOCUMENT.get, PROOF, id="an instance shows its document, whatever the environment has"),
        pytest.param(Access(), {}.get, "AWS4-HMAC-SHA256 Credential=AKIAENVIRONMENT/", id="elsewhere its credentials count"),
        pytest.param(
            Access(access_key="AKIAGIVEN", secret_key="s"), DOCUMENT.get, "AWS4-HMAC-SHA256 Credential=AKIAGIVEN/", id="keys that are given"
        ),
    ],
)
def test_who_calls(serve: Serve, access: Access, lookup: Callable[[str], str | None], expected: str) -> None:
    server = serve(lambda method, path, body: (200, FOUND))
    made = stacks.connect(access, lookup, {"AWS_ENDPOINT_URL": server.url, **KEYS}, patience=1.0)
    assert made.resource("stack", "Web") == Resource("i-1", {"AWS::CloudFormation::Init": {"config": {}}})
    (_, _, headers, body) = server.asked[0]
    assert headers["authorization"].startswith(expected)
    asked = parse_qs(body.decode())
    assert {name: value[0] for name, value in asked.items()} == {
        "Action": "DescribeStackResource", "Version": "2010-05-15", "StackName": "stack", "LogicalResourceId": "Web",
    }  # fmt: skip


def test_an_answer_that_is_no_answer_of_cloudformation_is_said_to_be_none(serve: Serve) -> None:
    server = serve(lambda method, path, body: (200, b"<html><p>a captive portal"))
    with pytest.raises(Failed, match="not CloudFormation"):
        stacks.connect(Access(access_key="a", secret_key="b", url=server.url), environment={}, patience=1.0).resource("s", "r")


def test_a_credential_file_wins(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("AWSAccessKeyId=AKIAFILE\nAWSSecretKey = secret\n")
    assert stacks.credentials_in(str(path)) == ("AKIAFILE", "secret")
    provider = stacks.given_credentials(Access(credential_file=str(path), role="r", access_key="a", secret_key="b"))
    assert provider is not None and provider.get().access_key == "AKIAFILE"
    path.write_text("x")
    with pytest.raises(Failed, match="no AWSAccessKeyId"):
        stacks.credentials_in(str(path))


@pytest.mark.parametrize(
    "url, here, expected",
    [
        ("", "http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("https://cloudformation.us-east-1.amazonaws.com", "http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("http://10.0.0.1:80", "http://127.0.0.1:4566", "http://10.0.0.1:80"),
        ("https://cloudformation.us-east-1.amazonaws.com", "", "https://cloudformation.us-east-1.amazonaws.com"),
    ],
)
def test_where_cloudformation_is(url: str, here: str, expected: str) -> None:
    assert stacks.endpoint(url, {"AWS_ENDPOINT_URL": here}) == expected


# -- cfn-get-metadata -------------------------------------------------------------------------------------------------


def test_a_part_of_the_metadata() -> None:
    metadata = {"a": {"b": {"c": 1}}, "text": "x"}
    assert metadata_command.part(metadata, "a.b") == {"c": 1}
    assert metadata_command.part(metadata, "") == metadata
    assert (metadata_command.shown("x"), metadata_command.shown({"c": 1})) == ("x", '{\n    "c": 1\n}')
    with pytest.raises(Failed, match="no key a.x"):
        metadata_command.part(metadata, "a.x")


# -- cfn-signal -------------------------------------------------------------------------------------------------------


def test_a_wait_condition_is_signalled_with_an_empty_content_type(serve: Serve) -> None:
    server = serve(lambda method, path, body: (200, b""))
    url = signal_command.handle_url(base64.b64encode(f"{server.url}/bucket/handle?X-Amz-Signature=1".encode()).decode())
    signal_command.signal_handle(url, False, "i-1", "", "some data")
    method, path, headers, body = server.asked[0]
    assert (method, path, headers["content-type"]) == ("PUT", "/bucket/handle?X-Amz-Signature=1", "")
    assert json.loads(body) == {"Status": "FAILURE", "Reason": "Configuration failed.", "UniqueId": "i-1", "Data": "some data"}


def test_a_handle_that_refuses_is_not_asked_again(serve: Serve) -> None:
    server = serve(lambda method, path, body: (403, b"<Error><Code>AccessDenied</Code><Message>expired</Message></Error>"))
    with pytest.raises(ApiError, match="AccessDenied: expired"):
        signal_command.signal_handle(f"{server.url}/handle", True, "i-1", "", "")
    assert len(server.asked) == 1
    with pytest.raises(Failed, match="no URL"):
        signal_command.handle_url("not a url")


@pytest.mark.parametrize(
    "options, status, code",
    [
        pytest.param(["-e", "0"], "SUCCESS", 0, id="exit code 0"),
        pytest.param(["--exit-code", "1", "--success", "true"], "FAILURE", 0, id="another exit code, whatever --success says"),
        pytest.param(["--success", "false"], "FAILURE", 0, id="--success false"),
        pytest.param([], "SUCCESS", 0, id="nothing said"),
    ],
)
def test_cfn_signal(serve: Serve, tmp_path: Path, options: list[str], status: str, code: int) -> None:
    server = serve(lambda method, path, body: (200, b"<SignalResourceResponse/>"))
    keys = ["--access-key", "AKIDEXAMPLE", "--secret-key", "s", "--url", server.url, "--region", "eu-west-1"]
    assert signal_command.main([*options, *keys, "--id", "i-1", "--stack", "web", "--resource", "Web"], str(tmp_path)) == code
    asked = {name: value[0] for name, value in parse_qs(server.asked[0][3].decode()).items()}
    assert asked == {
        "Action": "SignalResource", "Version": "2010-05-15", "StackName": "web", "LogicalResourceId": "Web", "UniqueId": "i-1", "Status": status,
    }  # fmt: skip


def test_cfn_signal_ends_with_1_when_the_signal_is_refused(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = b"<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack web does not exist</Message></Error></ErrorResponse>"
    server = serve(lambda method, path, body: (400, refusal))
    keys = ["--access-key", "AKIDEXAMPLE", "--secret-key", "s", "--url", server.url]
    assert signal_command.main(["-e", "0", *keys, "-i", "i-1", "--stack", "web", "--resource", "Web"], str(tmp_path)) == 1
    assert "ValidationError: Stack web does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        signal_command.main(["-e", "0", "--stack", "web"], str(tmp_path))
    assert ended.value.code == 2


# -- cfn-hup ----------------------------------------------------------------------------------------------------------

HOOK = "[hook]\ntriggers=post.add, post.update\npath=Resources.Web.Metadata.AWS::CloudFormation::Init\naction=echo x = y\nrunas=root\n"


def configured(folder: Path, main: str = "[main]\nstack=web\nregion=eu-west-1\ninterval=1\n", hook: str = HOOK) -> str:
    (folder / "hooks.d").mkdir(parents=True, exist_ok=True)
    (folder / "cfn-hup.conf").write_text(main)
    (folder / "hooks.conf").write_text(hook)
    return str(folder)


def test_hups_configuration(tmp_path: Path) -> None:
    folder = configured(
        tmp_path, "[main]\nstack=arn:aws:cloudformation:x\nregion=eu-west-1\ninterval=1\numask=027\nverbose=true\nrole=web\n"
    )
    read = hooks.settings(folder)
    assert read == hooks.Settings("arn:aws:cloudformation:x", Access(region="eu-west-1", role="web"), 60.0, 0o027, True)
    (tmp_path / "hooks.d" / "more.conf").write_text(
        "[hook]\nrunas=ec2-user\n[other]\n" + HOOK.partition("\n")[2].replace("Init", "Init.a.b")
    )
    first, second = hooks.hooks(folder)
    assert (first.name, first.runas, first.inside, first.action) == ("hook", "ec2-user", ("AWS::CloudFormation::Init",), "echo x = y")
    assert (second.name, second.inside) == ("other", ("AWS::CloudFormation::Init", "a", "b"))


@pytest.mark.parametrize(
    "main, hook, said",
    [
        pytest.param("[other]\n", HOOK, r"no section \[main\]", id="no main"),
        pytest.param("[main]\n", HOOK, "names no stack", id="no stack"),
        pytest.param("[main]\nstack=s\ninterval=often\n", HOOK, "often", id="no interval"),
        pytest.param("[main]\nstack=s\n", "[h]\ntriggers=post.add\n", "has no path, action, runas", id="half a hook"),
        pytest.param("[main]\nstack=s\n", HOOK.replace("post.add", "pre.add"), "trigger pre.add", id="an unknown trigger"),
        pytest.param("[main]\nstack=s\n", HOOK.replace(".Metadata", ".Properties"), "the path", id="an unknown path"),
    ],
)
def test_a_configuration_that_cannot_be_followed_says_why(tmp_path: Path, main: str, hook: str, said: str) -> None:
    folder = configured(tmp_path, main, hook)
    with pytest.raises(Failed, match=said):
        hooks.settings(folder)
        hooks.hooks(folder)


@pytest.mark.parametrize(
    "triggers, old, new, fired",
    [
        (("post.add",), None, {"a": 1}, "post.add"),
        (("post.update",), None, {"a": 1}, ""),
        (("post.update",), {"a": 1}, {"a": 2}, "post.update"),
        (("post.add", "post.update"), {"a": 1}, {"a": 1}, ""),
        (("post.remove",), {"a": 1}, None, "post.remove"),
        (("post.update",), {"a": 1}, None, ""),
    ],
)
def test_when_a_hook_fires(triggers: tuple[str, ...], old: Any, new: Any, fired: str) -> None:
    assert hooks.fires(hooks.Hook("h", triggers, "Web", (), False, "a", "root", "p"), old, new) == fired


class Told:
    """The cloud and the actions, scripted."""

    def __init__(self) -> None:
        self.now: Resource | None = Resource("i-1", {"k": {"v": 1}})
        self.ran: list[tuple[str, str, str]] = []
        self.code = 0

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        if self.now is None:
            return 400, b"<Error><Code>ValidationError</Code><Message>Stack 'web' does not exist</Message></Error>"
        metadata = json.dumps(self.now.metadata).replace('"', "&quot;")
        return 200, f"<r><PhysicalResourceId>{self.now.physical_id}</PhysicalResourceId><Metadata>{metadata}</Metadata></r>".encode()

    def run(self, hook: hooks.Hook, extra: dict[str, str]) -> int:
        self.ran.append((hook.name, extra["CFN_OLD_METADATA"], extra["CFN_NEW_METADATA"]))
        return self.code

    def taken(self) -> list[tuple[str, str, str]]:
        ran, self.ran = self.ran, []
        return ran


def test_changes_are_found_told_once_and_again_when_the_action_fails(tmp_path: Path, serve: Serve, log: Log) -> None:
    told = Told()
    server = serve(told.answer)
    made = stacks.connect(Access(access_key="a", secret_key="b", url=server.url), environment={}, patience=1.0)
    every = ("post.add", "post.update", "post.remove")
    watched = [
        hooks.Hook("meta", every, "Web", ("k",), False, "a", "root", "Resources.Web.Metadata.k"),
        hooks.Hook("id", ("post.update",), "Web", (), True, "a", "root", "Resources.Web.PhysicalResourceId"),
    ]

    def look() -> list[tuple[str, str, str]]:
        settings = hooks.Settings("web", Access())
        hup_command.Watcher(settings, watched, made, log, str(tmp_path / "db" / "metadata_db.json"), told.run).look()
        return told.taken()

    assert look() == [("meta", "", '{"v": 1}')]
    assert look() == []
    told.now = Resource("i-2", {"k": {"v": 2}})
    told.code = 1
    assert look() == [("meta", '{"v": 1}', '{"v": 2}'), ("id", "i-1", "i-2")]
    told.code = 0
    assert look() == [("meta", '{"v": 1}', '{"v": 2}'), ("id", "i-1", "i-2")]
    assert look() == []
    told.now = None
    assert look() == [("meta", '{"v": 2}', "")]
    assert look() == []
