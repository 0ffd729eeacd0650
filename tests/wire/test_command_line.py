"""The commands and the HTTP edge, as programs outside see them: a real `up`, its limits, its second start, its end."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "windtunnel", *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


class Up:
    """A cloud in the foreground of a child process."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        arguments = [sys.executable, "-m", "windtunnel", "up", "--data", str(data), "--port", "0", *options]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 30)[0], "no answer within 30 s"
        self.line = self.process.stdout.readline().strip()
        self.port = int(self.line.rsplit(":", 1)[1])

    def raw(self, request: bytes) -> bytes:
        """What the server sends back to these bytes until it closes or has answered."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as sock:
            sock.sendall(request)
            answer = b""
            while data := sock.recv(65536):
                answer += data
            return answer

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    cloud = Up(tmp_path_factory.mktemp("up") / "data", "--region", "eu-west-1", "--account", "210987654321")
    yield cloud
    cloud.close()


def test_it_says_ready_and_where(up: Up) -> None:
    assert up.line == f"ready http://127.0.0.1:{up.port}"


def test_env_as_json(up: Up) -> None:
    shown = json.loads(command("env", "--json", "--data", str(up.data)).stdout)
    assert set(shown) == {"endpoint", "tls_endpoint", "access_key_id", "secret_access_key", "region", "account"}
    assert (shown["endpoint"], shown["region"], shown["account"]) == (f"http://127.0.0.1:{up.port}", "eu-west-1", "210987654321")


def test_env_can_be_evaluated_by_a_shell_and_names_all_that_clients_need(up: Up) -> None:
    text = command("env", "--data", str(up.data)).stdout
    script = (
        text
        + 'printf "%s\\n" "$AWS_ENDPOINT_URL" "$AWS_REGION" "$AWS_DEFAULT_REGION" "$CODE_COMMIT_ENDPOINT" "$GIT_CONFIG_COUNT"; test -r "$AWS_CA_BUNDLE"'
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0
    endpoint, region, default_region, git, count = done.stdout.split()
    assert (endpoint, region, default_region) == (f"http://127.0.0.1:{up.port}", "eu-west-1", "eu-west-1")
    assert git.startswith("127.0.0.1:") and int(count) >= 3


def test_secrets_are_the_owners_alone(up: Up) -> None:
    secrets = [up.data / name for name in ("credentials.json", "cloud.db")] + list((up.data / "tls").glob("*.key"))
    assert len(secrets) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    assert stat.S_IMODE(up.data.stat().st_mode) == 0o700


def test_a_second_up_on_the_same_data_says_so(up: Up) -> None:
    done = command("up", "--data", str(up.data), "--port", "0")
    assert done.returncode == 1
    assert f"already runs on {up.data}" in done.stderr


def test_a_taken_port_is_said(up: Up, tmp_path: Path) -> None:
    done = command("up", "--data", str(tmp_path / "other"), "--port", str(up.port))
    assert done.returncode == 1
    assert f"port {up.port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("env",), ("down",), ("why", "d-ABCDEFGHI")])
def test_without_a_cloud_commands_say_so(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = command(*arguments, "--data", str(tmp_path / "none"))
    assert done.returncode == 1
    assert done.stderr.startswith("windtunnel: ") and "Traceback" not in done.stderr


def test_down_ends_it_and_up_finds_everything_again(tmp_path: Path) -> None:
    first = Up(tmp_path / "data")
    keys = (tmp_path / "data" / "credentials.json").read_text()
    assert command("down", "--data", str(tmp_path / "data")).returncode == 0
    assert first.process.wait(1) == 0
    assert first.process.stdout is not None
    first.process.stdout.close()
    assert command("env", "--data", str(tmp_path / "data")).returncode == 1
    again = Up(tmp_path / "data")
    assert (tmp_path / "data" / "credentials.json").read_text() == keys
    again.close()


def test_after_kill_9_the_run_file_deceives_nobody(tmp_path: Path) -> None:
    first = Up(tmp_path / "data")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(10)
    assert first.process.stdout is not None
    first.process.stdout.close()
    assert (tmp_path / "data" / "run.json").exists()
    assert command("env", "--data", str(tmp_path / "data")).returncode == 1
    again = Up(tmp_path / "data")
    again.close()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
            431,
            id="too many headers",
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", 431, id="a header too long"),
        pytest.param(b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414, id="a target too long"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400, id="two lengths"),
        pytest.param(b"no http at all\r\n\r\n", 400, id="not HTTP"),
    ],
)
def test_the_edge_has_limits(up: Up, request_: bytes, status: int) -> None:
    assert up.raw(request_).startswith(b"HTTP/1.1 %d " % status)


def test_a_body_that_is_too_large_is_refused_and_the_server_lives(up: Up) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=30)
    connection.putrequest("POST", "/")
    for name, value in {
        "X-Amz-Target": "AmazonSSM.PutParameter",
        "Content-Type": "application/x-amz-json-1.1",
        "Content-Length": str(64 << 20),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        for _ in range(64):
            connection.send(b"x" * (1 << 20))
    except (BrokenPipeError, ConnectionResetError):
        pass
    else:
        assert connection.getresponse().status == 413
    connection.close()
    assert up.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 ")


def test_unsigned_requests_get_nothing(up: Up) -> None:
    body = b'{"Name": "/a", "Value": "v", "Type": "String"}'
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Amz-Target: AmazonSSM.PutParameter\r\nContent-Type: application/x-amz-json-1.1\r\n"
    answer = up.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"MissingAuthenticationTokenException" in answer
