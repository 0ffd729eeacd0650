"""CloudFormation's helper scripts on a real instance: what user data of a template does there, against a cloud that the test scripts.

The evidence comes from outside: the page over the network, files on the disk, what the scripts asked the cloud.
"""

from __future__ import annotations

import base64
import http.server
import io
import json
import shutil
import socket
import tarfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import pytest

from windtunnel.compute.driver import Handle, ListenerKind, SandboxSpec
from windtunnel.compute.image import Images
from windtunnel.compute.runc import RuncDriver

pytestmark = pytest.mark.slow
ENDPOINT_PORT = 4566
PATIENCE = 60.0
HUP = "[main]\nstack=web\nregion=eu-west-1\ninterval=0.01\n"
HOOK = "[reload]\ntriggers=post.update\npath=Resources.Web.Metadata.AWS::CloudFormation::Init\naction=cfn-init -s web -r Web\nrunas=root\n"
USER_DATA = b"""#!/bin/bash -x
dnf install -y aws-cfn-bootstrap
pip3 install https://s3.amazonaws.com/cloudformation-examples/aws-cfn-bootstrap-py3-latest.tar.gz
/opt/aws/bin/cfn-init -v --stack web --resource Web --region eu-west-1
/opt/aws/bin/cfn-signal -e $? --stack web --resource Web --region eu-west-1
"""


def archive() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        info = tarfile.TarInfo("static/logo.txt")
        info.size = 4
        made.addfile(info, io.BytesIO(b"logo"))
    return out.getvalue()


def init(page: str, hook: str = HOOK) -> dict[str, Any]:
    """What a template says of its web server."""
    install = {
        "packages": {"yum": {"nginx": [], "jq": []}},
        "groups": {"web": {"gid": "4000"}},
        "users": {"deployer": {"groups": ["web"], "uid": "4001", "homeDir": "/srv"}},
        "sources": {"/var/www/html": "http://127.0.0.1:4566/assets/site.tgz"},
        "files": {
            "/var/www/html/index.html": {"content": page, "mode": "000644", "owner": "root", "group": "web"},
            "/etc/nginx/conf.d/own.conf": {
                "content": "server { listen 80; location /name { return 200 '{{name}}'; } location / { root /var/www/html; } }\n",
                "context": {"name": "mustache"},
            },
            "/etc/cfn/cfn-hup.conf": {"content": HUP, "mode": "000400", "owner": "root", "group": "root"},
            "/etc/cfn/hooks.d/reload.conf": {"content": hook, "mode": "000400", "owner": "root", "group": "root"},
        },
        "commands": {
            "02_second": {"command": "echo second >> /srv/order", "cwd": "/srv"},
            "01_first": {"command": "echo first $WHO >> /srv/order", "env": {"WHO": "me"}, "test": "test ! -e /srv/order"},
        },
        "services": {
            "systemd": {
                "nginx": {"enabled": "true", "ensureRunning": "true", "files": ["/etc/nginx/conf.d/own.conf"]},
                "cfn-hup": {"enabled": "true", "ensureRunning": "true", "files": ["/etc/cfn/cfn-hup.conf", "/etc/cfn/hooks.d/reload.conf"]},
            }
        },
    }
    return {"AWS::CloudFormation::Init": {"configSets": {"default": ["install"]}, "install": install}}


class Cloud:
    """Answers as CloudFormation, S3 and the metadata do. signals: what was signalled; authorizations: how callers proved who they are."""

    def __init__(self) -> None:
        self.metadata = init("one\n")
        self.signals: list[dict[str, str]] = []
        self.authorizations: set[str] = set()
        self.items = {
            "/latest/meta-data/instance-id": b"i-0123456789abcdef0",
            "/latest/dynamic/instance-identity/document": b'{"instanceId": "i-0123456789abcdef0"}',
            "/latest/dynamic/instance-identity/signature": b"c2ln",
            "/latest/user-data": USER_DATA,
            "/assets/site.tgz": archive(),
        }

    def form(self, body: bytes) -> bytes:
        asked = {name: value[0] for name, value in parse_qs(body.decode()).items()}
        if asked["Action"] == "SignalResource":
            self.signals.append(asked)
            return b"<SignalResourceResponse/>"
        metadata = escape(json.dumps(self.metadata))
        return f"<r><PhysicalResourceId>i-0123456789abcdef0</PhysicalResourceId><Metadata>{metadata}</Metadata></r>".encode()

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._reply(200, b"token")

            def do_GET(self) -> None:
                found = cloud.items.get(self.path)
                self._reply(404 if found is None else 200, found or b"")

            def do_POST(self) -> None:
                cloud.authorizations.add(self.headers.get("Authorization", ""))
                body = self.rfile.read(int(self.headers["Content-Length"]))
                form = self.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")
                self._reply(200, cloud.form(body)) if form else self._reply(501, b"{}")

            def _reply(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return

        return Handler

    def serve(self, sandbox_id: str, kind: ListenerKind, listener: socket.socket) -> Callable[[], None]:
        server = http.server.ThreadingHTTPServer(("", 0), self.handler(), bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        listener.setblocking(True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

        def end() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return end


class Instance:
    def __init__(self, root: Path, cloud: Cloud) -> None:
        self.driver = RuncDriver(root, Images(progress=print), cloud.serve, ENDPOINT_PORT)
        reason = self.driver.available()
        if reason is not None:
            pytest.skip(reason)
        env = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ENDPOINT_PORT}"}
        argv = ("/usr/sbin/init",)
        spec = SandboxSpec(id="instance", image="stock", argv=argv, env=env, hostname="ip-10-0-0-7", memory=512 << 20, keep=True)
        self.handle: Handle = self.driver.start(spec, "boot-1")

    def sh(self, command: str) -> tuple[int | None, str]:
        done = self.driver.exec(self.handle, ("/bin/bash", "-c", command), user="root", timeout=120)
        return done.code, (done.stdout + done.stderr).decode()

    def console(self) -> str:
        frames, _ = self.driver.logs(self.handle, 0)
        return b"".join(frame.data for frame in frames).decode()

    def page(self, path: str = "/") -> str:
        try:
            with urllib.request.urlopen(f"http://{self.handle.ip}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError as error:
            return str(error)


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {PATIENCE:.0f} s: {what()}")
        pause.wait(0.05)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cloud, Instance]]:
    if shutil.which("runc") is None:
        pytest.skip("runc is not installed")
    cloud = Cloud()
    made = Instance(tmp_path_factory.mktemp("cloud"), cloud)
    try:
        wait_until(lambda: bool(cloud.signals), lambda: f"a signal: {made.console()}")
        yield cloud, made
    finally:
        made.driver.remove("instance")
        made.driver.close(remove_network=True)


def test_user_data_configures_the_instance_and_signals_it(both: tuple[Cloud, Instance]) -> None:
    cloud, instance = both
    signal = cloud.signals[0]
    log = instance.sh("cat /var/log/cfn-init.log")[1]
    assert (signal["Status"], signal["UniqueId"], signal["LogicalResourceId"]) == ("SUCCESS", "i-0123456789abcdef0", "Web"), (
        log + instance.console()
    )
    assert cloud.authorizations == {"CFN_V1 " + base64.b64encode(b'{"instanceId": "i-0123456789abcdef0"}').decode() + ":c2ln"}
    assert (instance.page(), instance.page("/static/logo.txt"), instance.page("/name")) == ("one\n", "logo", "mustache")
    assert instance.sh("cat /srv/order; stat -c '%G %a' /var/www/html/index.html; id -u deployer; id -nG deployer")[1].splitlines() == [
        "first me", "second", "web 644", "4001", "deployer web",
    ]  # fmt: skip
    assert "[INFO] Started nginx successfully" in log and "[INFO] Command 01_first succeeded" in log
    assert "Requirement already satisfied: aws-cfn-bootstrap" in instance.console()


def test_the_scripts_are_found_under_all_of_their_names(both: tuple[Cloud, Instance]) -> None:
    _, instance = both
    for name in ("cfn-init", "cfn-signal", "cfn-get-metadata", "cfn-hup"):
        for folder in ("", "/opt/aws/bin/", "/usr/bin/", "/usr/local/bin/"):
            assert instance.sh(f"{folder}{name} --help")[0] == 0, f"{folder}{name}"
    code, text = instance.sh("cfn-get-metadata -s web -r Web -k AWS::CloudFormation::Init.install.groups")
    assert (code, json.loads(text)) == (0, {"web": {"gid": "4000"}})


def test_hup_reloads_what_an_update_of_the_stack_changes(both: tuple[Cloud, Instance]) -> None:
    cloud, instance = both
    assert instance.sh("systemctl is-enabled cfn-hup; systemctl is-active cfn-hup")[1].split() == ["enabled", "active"]
    wait_until(
        lambda: instance.sh("test -s /var/lib/cfn-hup/data/metadata_db.json")[0] == 0, lambda: instance.sh("cat /var/log/cfn-hup.log")[1]
    )
    cloud.metadata = init("two\n")
    wait_until(lambda: instance.page() == "two\n", lambda: instance.sh("cat /var/log/cfn-hup.log /var/log/cfn-init.log")[1])
    assert instance.sh("cat /var/www/html/index.html.bak") == (0, "one\n")
    assert instance.sh("cat /srv/order")[1].splitlines() == ["first me", "second", "second"], "the first's test does not pass any more"
    wait_until(lambda: "Action for reload completed" in log_of(instance), lambda: log_of(instance))
    before = instance.sh("systemctl show -p MainPID --value cfn-hup")[1]
    cloud.metadata = init("three\n", "# changed\n" + HOOK)
    wait_until(lambda: "Restarted cfn-hup successfully" in instance.sh("cat /var/log/cfn-init.log")[1], lambda: log_of(instance))
    assert instance.sh("systemctl show -p MainPID --value cfn-hup")[1] not in (before, "0\n"), "an action may have the daemon restarted"
    wait_until(lambda: log_of(instance).count("Action for reload completed") == 2, lambda: log_of(instance))
    assert instance.page() == "three\n"
    assert instance.sh("systemctl stop cfn-hup; pgrep -a -f '^/usr/bin/python3 .*cfn-hup'") == (1, "")


def log_of(instance: Instance) -> str:
    return instance.sh("cat /var/log/cfn-hup.log")[1]


def test_what_cannot_be_done_fails_by_name_and_is_signalled(both: tuple[Cloud, Instance]) -> None:
    cloud, instance = both
    before = len(cloud.signals)
    cloud.metadata = {
        "AWS::CloudFormation::Init": {"config": {"packages": {"yum": {"no-such-package": []}}, "files": {"/srv/never": {"content": "x"}}}}
    }
    code, said = instance.sh("cfn-init -s web -r Web; cfn-signal -e $? --stack web --resource Web --region eu-west-1")
    assert code == 0 and "no-such-package" in said
    assert [signal["Status"] for signal in cloud.signals[before:]] == ["FAILURE"]
    assert instance.sh("test -e /srv/never")[0] == 1
    cloud.metadata = {
        "AWS::CloudFormation::Init": {"config": {"packages": {"yum": {"tree": []}}, "commands": {"1": {"command": "tree --version"}}}}
    }
    assert instance.sh("cfn-init -s web -r Web") == (0, ""), instance.sh("tail -n 40 /var/log/cfn-init-cmd.log")[1]
    assert "[INFO] Yum installed tree" in instance.sh("cat /var/log/cfn-init.log")[1]
