"""The stock image under the real driver: what hooks and user data will find on an instance.

Each test names the promise; the evidence comes from outside (a page over the network, a file read from the disk, the process table).
"""

from __future__ import annotations

import http.client
import http.server
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from windtunnel.compute.driver import Exited, Handle, ListenerKind, SandboxSpec
from windtunnel.compute.image import Images
from windtunnel.compute.runc import RuncDriver

pytestmark = pytest.mark.slow
ENDPOINT_PORT = 4566
USER_DATA = b"#!/bin/bash\necho ran >> /srv/ran\necho to the console\nsystemctl enable --now nginx\n"
PATIENCE = 30.0


class Metadata(http.server.BaseHTTPRequestHandler):
    """Instance metadata, version 2, of one instance."""

    items = {"/latest/meta-data/instance-id": b"i-0123456789abcdef0", "/latest/user-data": USER_DATA}

    def do_PUT(self) -> None:
        self._reply(200, b"token")

    def do_GET(self) -> None:
        body = self.items.get(self.path)
        authentic = self.headers.get("X-aws-ec2-metadata-token") == "token"
        self._reply(401 if not authentic else 200 if body is not None else 404, body or b"")

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


def serve(sandbox_id: str, kind: ListenerKind, listener: socket.socket) -> Callable[[], None]:
    server = http.server.ThreadingHTTPServer(("", 0), Metadata, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    listener.setblocking(True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


class Instance:
    """One instance of the stock image, with its init."""

    def __init__(self, root: Path) -> None:
        self.driver = RuncDriver(root, Images(progress=print), serve, ENDPOINT_PORT)
        reason = self.driver.available()
        if reason is not None:
            pytest.skip(reason)
        self.boots = 0
        self.handle: Handle = self.boot()

    def boot(self) -> Handle:
        self.boots += 1
        argv = ("/usr/sbin/init",)
        env = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
        spec = SandboxSpec(id="instance", image="stock", argv=argv, env=env, hostname="ip-10-0-0-7", memory=512 << 20, keep=True)
        self.handle = self.driver.start(spec, f"boot-{self.boots}")
        wait_until(lambda: "login:" in self.console(), f"the boot: {self.console()}")
        return self.handle

    def sh(self, command: str, user: str = "root", timeout: float = 120) -> tuple[int | None, str]:
        done = self.driver.exec(self.handle, ("/bin/bash", "-c", command), user=user, timeout=timeout)
        return done.code, (done.stdout + done.stderr).decode()

    def out(self, command: str, user: str = "root", timeout: float = 120) -> str:
        code, text = self.sh(command, user, timeout)
        assert code == 0, f"{command}: {code}: {text}"
        return text.strip()

    def unit(self, name: str, text: str) -> None:
        self.out(f"cat > /etc/systemd/system/{name}.service <<'END'\n{text}\nEND\nsystemctl daemon-reload")

    def console(self) -> str:
        frames, _ = self.driver.logs(self.handle, 0)
        return b"".join(frame.data for frame in frames).decode()

    def page(self) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://{self.handle.ip}/", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""
        except (OSError, http.client.HTTPException):
            return 0, ""


def wait_until(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"not within {patience:.0f} s: {what}")
        pause.wait(0.02)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    if shutil.which("runc") is None:
        pytest.skip("runc is not installed")
    made = Instance(tmp_path_factory.mktemp("cloud"))
    try:
        yield made
    finally:
        made.driver.remove("instance")
        made.driver.close(remove_network=True)


def test_it_is_ready_soon_with_the_agent_running_and_the_user_data_run(instance: Instance) -> None:
    assert "to the console" in instance.console()
    assert "[  OK  ] Started codedeploy-agent.service" in instance.console()
    assert instance.out("cat /srv/ran") == "ran"
    assert instance.out("cloud-init status --wait") == "status: done"
    assert instance.out("systemctl is-active nginx") == "active"


def test_both_document_roots_are_served(instance: Instance) -> None:
    instance.out("echo one > /usr/share/nginx/html/index.html")
    assert instance.page() == (200, "one\n")
    instance.out("echo two > /var/www/html/index.html")
    assert instance.page() == (200, "two\n")


def test_a_site_in_conf_d_takes_port_80_over(instance: Instance) -> None:
    site = "server { listen 80; location / { return 200 mine; } }"
    instance.out(f"echo '{site}' > /etc/nginx/conf.d/mine.conf && systemctl reload nginx")
    wait_until(lambda: instance.page() == (200, "mine"), "the new site")
    instance.out("rm /etc/nginx/conf.d/mine.conf && systemctl restart nginx")
    assert instance.page()[1] != "mine"


def test_stop_really_stops_and_the_exit_codes_are_systemctls(instance: Instance) -> None:
    assert instance.sh("systemctl stop nginx && systemctl is-active nginx") == (3, "inactive\n")
    assert instance.page()[0] == 0
    assert instance.sh("pgrep nginx")[0] == 1
    assert instance.sh("systemctl status nginx")[0] == 3
    assert instance.sh("systemctl status nosuch") == (4, "Unit nosuch.service could not be found.\n")
    assert instance.sh("systemctl start nosuch") == (5, "Failed to start nosuch.service: Unit nosuch.service not found.\n")
    assert "active (running)" in instance.out("service nginx start; service nginx status")


def test_a_killed_service_with_restart_always_comes_back(instance: Instance) -> None:
    instance.unit("phoenix", "[Service]\nExecStart=/usr/bin/python3 -m http.server 8080\nRestart=always\nUser=ec2-user")
    instance.out("systemctl start phoenix")
    before = instance.out("systemctl show -p MainPID --value phoenix")
    assert instance.out(f"stat -c %U /proc/{before}") == "ec2-user"
    instance.out(f"kill -9 {before}")
    wait_until(lambda: instance.sh("systemctl is-active phoenix")[0] == 0, "the restart")
    assert instance.out("systemctl show -p MainPID --value phoenix") not in (before, "0")
    assert instance.out("systemctl show -p NRestarts --value phoenix") == "1"
    assert "Scheduled restart job" in instance.out("journalctl -u phoenix --no-pager")
    instance.out("systemctl stop phoenix")


def test_a_service_that_notifies_is_active_when_it_is_ready(instance: Instance) -> None:
    program = (
        "import os, socket, time; time.sleep(0.5); open('/tmp/ready', 'w').close();"
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET']); time.sleep(600)"
    )
    instance.unit(
        "slow",
        f'[Service]\nType=notify\nUser=ec2-user\nExecStart=/usr/bin/python3 -c "{program}"\nExecStartPost=+/usr/bin/touch /srv/post',
    )
    instance.out("systemctl start slow && test -e /tmp/ready && test -e /srv/post && systemctl stop slow")


def test_a_stop_takes_the_children_along_and_nobody_is_left_a_zombie(instance: Instance) -> None:
    instance.unit("family", "[Service]\nExecStart=/bin/sh -c 'sleep 7777 & sleep 7778'")
    instance.out("systemctl start family")
    assert instance.out("pgrep -c -x sleep") == "2"
    instance.out("systemctl stop family")
    assert instance.sh("pgrep -x sleep")[0] == 1
    instance.out("bash -c '(setsid sleep 0 &) ; true'")
    wait_until(lambda: instance.sh("ps -eo stat | grep -c ^Z")[1] == "0\n", "init to bury its orphans")


def test_the_users_of_amazon_linux_are_there(instance: Instance) -> None:
    assert instance.out("id -u && sudo id -u", user="ec2-user").split() == ["1000", "0"]
    assert instance.out("su - ec2-user -c 'echo $AWS_REGION; sudo sh -c \"echo \\$AWS_ENDPOINT_URL\"'").split() == [
        "eu-west-1",
        "http://127.0.0.1:4566",
    ]
    assert instance.out("touch /tmp/f && chown nginx /tmp/f && stat -c %u /tmp/f") == "33"
    assert instance.sh("systemctl stop nginx", user="ec2-user")[0] == 1


def test_the_metadata_tool_and_the_aws_cli_answer(instance: Instance) -> None:
    assert instance.out("ec2-metadata -i") == "instance-id: i-0123456789abcdef0"
    assert instance.out("aws --version").startswith("aws-cli/")


def test_a_service_that_fails_says_why(instance: Instance) -> None:
    instance.unit("broken", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo because of this >&2; exit 9'")
    code, said = instance.sh("systemctl start broken")
    assert code == 1
    assert said.startswith("Job for broken.service failed because the control process exited with error code.\n")
    assert instance.sh("systemctl is-failed broken") == (0, "failed\n")
    assert "because of this" in instance.sh("systemctl status broken")[1]


BAD_UNITS = [
    b"\xff\xfe\x00",
    b"[Service]\nExecStart=\n",
    b"[Service]\nExecStart=/bin/true\nUMask=rw",
    b"[Service]\nExecStart=/bin/true\nUser=nobody-here",
    b"[Service]\nExecStart=/bin/true\nRuntimeDirectory=a-file",
    b'[Service]\nType=oneshot\nExecStart=/bin/sh -c "kill -37 $$$$"',
    b"[Service]\nExecStart=/bin/true\nStandardOutput=append:/no/such/place",
    b"[Service]\nExecStart=$UNSET",
]
BAD_REQUESTS = [
    b"\n",
    b"nonsense\n",
    b"\xff\xfe\n",
    b"{}\n",
    b"[1]\n",
    b'{"verb": 7, "units": 3}\n',
    b'{"verb": "start", "units": ["../../x", "", "a@b@.service", "x.timer"]}\n',
    b'{"verb": "start", "units": ["a\\u0000b"]}\n',
    b'{"verb": "start", "units": ["\\ud800"]}\n',
    b'{"verb": "show", "units": ["", "/", "@"]}\n',
    b"[" * 3000 + b"\n",
]
ASK = (
    'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect("/run/windtunnel/init.sock"); s.send(sys.stdin.buffer.read()); s.recv(9)'
)


def test_nothing_that_a_guest_does_ends_its_init(instance: Instance) -> None:
    instance.out("touch /run/a-file; ln -sf loop.service /etc/systemd/system/loop.service; logger x")
    for number, text in enumerate(BAD_UNITS):
        instance.driver.exec(instance.handle, ("tee", f"/etc/systemd/system/bad{number}.service"), stdin=text)
        code, said = instance.sh(f"systemctl start bad{number}")
        assert code == 1 and "Traceback" not in said, (text, said, instance.console()[-2000:])
    for request in BAD_REQUESTS:
        assert instance.driver.exec(instance.handle, ("python3", "-c", ASK), stdin=request).code == 0, (request, instance.console()[-2000:])
    assert instance.sh("systemctl start loop")[0] == 5
    assert instance.out("systemctl is-active codedeploy-agent") == "active"
    instance.out("rm /etc/systemd/system/bad*.service /etc/systemd/system/loop.service; systemctl reset-failed")


def test_init_is_small(instance: Instance) -> None:
    kilobytes = int(instance.out("grep ^Pss: /proc/1/smaps_rollup").split()[1])
    print(f"init: {kilobytes} kB")
    assert kilobytes < 14_000


@pytest.fixture(scope="module")
def archives(instance: Instance) -> None:
    """Packages can be downloaded from inside."""
    code, said = instance.sh("apt-get update -q -o APT::Update::Error-Mode=any", timeout=180)
    if code != 0:
        pytest.skip(f"the package archives cannot be reached from a sandbox: {said[-300:]}")


def test_yum_installs_httpd_which_serves_when_it_is_started(instance: Instance, archives: None) -> None:
    assert instance.sh("yum install -y nosuch") == (1, "No match for argument: nosuch\nError: Unable to find a match: nosuch\n")
    instance.out("systemctl disable --now nginx; yum install -y httpd", timeout=300)
    assert instance.sh("systemctl is-active httpd") == (3, "inactive\n")
    assert instance.sh("systemctl is-enabled httpd") == (1, "disabled\n")
    assert instance.sh("pgrep apache2")[0] == 1
    instance.out("echo from httpd > /var/www/html/index.html; systemctl enable --now httpd")
    assert instance.page() == (200, "from httpd\n")
    instance.out("systemctl restart httpd")
    assert instance.out("systemctl is-active httpd apache2").split() == ["active", "active"]
    assert instance.page() == (200, "from httpd\n")
    instance.out("systemctl disable --now httpd; systemctl enable --now nginx")


def test_the_next_boot_has_its_files_and_services_and_does_not_run_the_user_data_again(instance: Instance) -> None:
    instance.out("echo kept > /var/www/html/index.html; systemctl enable --now nginx")
    began = time.monotonic()
    ended = instance.driver.stop(instance.handle, grace=10)
    assert isinstance(ended, Exited) and ended.code == 0
    assert time.monotonic() - began < 9
    instance.boot()
    assert "[  OK  ] Started nginx.service" in instance.console()
    assert "to the console" not in instance.console()
    wait_until(lambda: instance.page() == (200, "kept\n"), "the page of the boot before")
    assert instance.out("cat /srv/ran") == "ran"
    assert instance.out("cloud-init status --wait") == "status: done"


def test_a_build_has_no_init_and_hears_so(instance: Instance) -> None:
    command = "systemctl enable nginx && systemctl start nginx"
    handle = instance.driver.start(SandboxSpec(id="build", image="stock", argv=("/bin/sh", "-c", command), network=False), "build-1")
    try:
        wait_until(lambda: isinstance(instance.driver.status(handle), Exited), "the end of the build")
        frames, _ = instance.driver.logs(handle, 0)
        said = b"".join(frame.data for frame in frames).decode()
        status = instance.driver.status(handle)
        assert isinstance(status, Exited) and status.code == 1
        assert "System has not been booted with systemd as init system (PID 1). Can't operate." in said
    finally:
        instance.driver.remove("build")
