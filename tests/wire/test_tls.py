"""The https port and its certificate, as real clients see them: Python, curl and OpenSSL, git, node, Java, and Go in Terraform's clothes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from windtunnel import tls
from windtunnel.commands.running import credentials, run_file
from windtunnel.labs.cloud import LabCloud, client_path


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCloud]:
    where = tmp_path_factory.mktemp("tls")
    running = LabCloud(where / "data", where / "log")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def port(cloud: LabCloud) -> int:
    running = run_file(cloud.data)
    assert running is not None
    cloud.environment()  # waits for the CA
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", running.tls_port)) == 0:
                break
    return running.tls_port


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on this machine")
    return found


def run(cloud: LabCloud, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **cloud.environment(), "PATH": client_path(), **environment},
    )


# -- the certificate ------------------------------------------------------------------------------------------------------------


def test_it_is_made_once_and_the_servers_anew_when_it_must_be(tmp_path: Path) -> None:
    files = tmp_path / "tls"

    def made() -> tuple[bytes, bytes]:
        tls.server_context(tmp_path)
        return (files / "ca.pem").read_bytes(), (files / "server.pem").read_bytes()

    ca, server = made()
    assert made() == (ca, server)
    about = json.loads((files / "server.json").read_text())
    (files / "server.json").write_text(json.dumps({**about, "until": time.time() + 86400}))
    renewed = made()
    assert renewed[0] == ca and renewed[1] != server
    (files / "server.json").unlink()  # a kill between the files
    (files / "server.key").write_text("torn")
    again = made()
    assert again[0] == ca and again[1] != renewed[1]
    tls.server_context(tmp_path, ["cloud.example.org"])
    assert (files / "ca.pem").read_bytes() == ca
    assert all(path.stat().st_mode & 0o077 == 0 for path in files.iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "bucket.s3.localhost",
        "ssm.eu-west-1.amazonaws.com",
        "git-codecommit.ap-southeast-2.amazonaws.com",
        "bucket.s3.eu-central-1.amazonaws.com",
        "bucket.s3.amazonaws.com",
        "123456789012.dkr.ecr.us-west-2.amazonaws.com",
        "domain-123456789012.d.codeartifact.us-east-1.amazonaws.com",
        "sts.amazonaws.com",
        "ssm.cn-north-1.amazonaws.com.cn",
        "streaming-logs.us-east-1.amazonaws.com",
        "cloud.example.org",
    ],
)
def test_names_that_it_stands_for(made: Path, name: str) -> None:
    assert verified(made, "-verify_hostname", name)


@pytest.mark.parametrize("name", ["evil.example", "amazonaws.com.evil.example", "a.b.ssm.eu-west-1.amazonaws.com", "org"])
def test_names_that_it_does_not_stand_for(made: Path, name: str) -> None:
    assert not verified(made, "-verify_hostname", name)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_addresses(made: Path, address: str) -> None:
    assert verified(made, "-verify_ip", address)
    assert not verified(made, "-verify_ip", "10.0.0.1")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("certificate")
    tls.server_context(data, ["cloud.example.org"])
    return data / "tls"


def verified(made: Path, *how: str) -> bool:
    """What OpenSSL says, as strictly as it can."""
    command = [
        program("openssl"),
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-CAfile",
        str(made / "ca.pem"),
        *how,
        str(made / "server.pem"),
    ]
    return subprocess.run(command, capture_output=True, timeout=20).returncode == 0


# -- clients --------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_python_with_every_check_and_alpn(cloud: LabCloud, port: int) -> None:
    context = ssl.create_default_context(cafile=str(tls.ca_file(cloud.data)))
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2", "http/1.1"])
    for name in ("ssm.eu-west-1.amazonaws.com", "localhost", "127.0.0.1"):
        with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw, server_hostname=name) as sock:
            assert sock.selected_alpn_protocol() == "http/1.1"
            assert sock.version() in ("TLSv1.2", "TLSv1.3")
    old = ssl.create_default_context(cafile=str(tls.ca_file(cloud.data)))
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), 10) as raw, pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(raw, server_hostname="localhost")


@pytest.mark.slow
def test_boto3(cloud: LabCloud, port: int) -> None:
    keys = credentials(cloud.data)
    assert keys is not None
    for verify, host in ((str(tls.ca_file(cloud.data)), "127.0.0.1"), (cloud.environment()["AWS_CA_BUNDLE"], "localhost")):
        s3 = boto3.client(
            "s3",
            endpoint_url=f"https://{host}:{port}",
            verify=verify,
            region_name="us-east-1",
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        s3.create_bucket(Bucket=f"over-tls-{host.replace('.', '-')}")
        s3.put_object(Bucket=f"over-tls-{host.replace('.', '-')}", Key="k", Body=b"x" * 3_000_000)
        assert len(s3.get_object(Bucket=f"over-tls-{host.replace('.', '-')}", Key="k")["Body"].read()) == 3_000_000
        url = s3.generate_presigned_url("get_object", Params={"Bucket": f"over-tls-{host.replace('.', '-')}", "Key": "k"})
        assert url.startswith(f"https://{host}:{port}/")
        assert run(cloud, program("curl"), "-sf", "-o", os.devnull, "--cacert", verify, url).returncode == 0


@pytest.mark.slow
def test_curl_under_awss_own_names(cloud: LabCloud, port: int) -> None:
    ca = str(tls.ca_file(cloud.data))
    for name in ("ssm.eu-west-1.amazonaws.com", "bucket.s3.us-east-1.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com"):
        where = f"{name}:443:127.0.0.1:{port}"
        done = run(
            cloud,
            program("curl"),
            "-s",
            "--cacert",
            ca,
            "--connect-to",
            where,
            "-w",
            "%{http_code} %{ssl_verify_result}",
            f"https://{name}/",
        )
        assert done.stdout.endswith((" 0",)), done
        assert done.stdout.split()[-2][-3:] in ("403", "404", "400"), done
    wrong = run(cloud, program("curl"), "-s", "--cacert", ca, "--connect-to", f"evil.example:443:127.0.0.1:{port}", "https://evil.example/")
    assert wrong.returncode == 60, "the certificate does not stand for that name"


@pytest.mark.slow
def test_the_aws_command_line(cloud: LabCloud, port: int) -> None:
    done = run(cloud, "aws", "sts", "get-caller-identity", AWS_ENDPOINT_URL=f"https://127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_git_clones_and_pushes_over_https_and_by_git_remote_codecommit(cloud: LabCloud, port: int, tmp_path: Path) -> None:
    program("git")
    assert run(cloud, "aws", "codecommit", "create-repository", "--repository-name", "app").returncode == 0
    git = {"GIT_CONFIG_NOSYSTEM": "1", "HOME": str(tmp_path), "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    git |= {"GIT_COMMITTER_EMAIL": "a@b", "GIT_TERMINAL_PROMPT": "0"}
    work = str(tmp_path / "work")
    for command in (
        ["git", "init", "-q", "-b", "main", work],
        ["git", "-C", work, "commit", "-q", "--allow-empty", "-m", "first"],
        ["git", "-C", work, "push", "-q", "codecommit::us-east-1://app", "main"],
        ["git", "clone", "-q", "codecommit::us-east-1://app", str(tmp_path / "clone")],
        ["git", "-C", str(tmp_path / "clone"), "log", "-1", "--format=%s"],
    ):
        done = run(cloud, *command, **git)
        assert done.returncode == 0, (command, done.stderr)
    assert done.stdout.strip() == "first"


@pytest.mark.slow
def test_node(cloud: LabCloud, port: int) -> None:
    script = f"require('https').get('https://127.0.0.1:{port}/', r => console.log(r.statusCode, r.socket.authorized))"
    done = run(cloud, program("node"), "-e", script)
    assert done.stdout.split() == ["403", "true"], done.stderr


@pytest.mark.slow
def test_java(cloud: LabCloud, port: int, tmp_path: Path) -> None:
    program("java")
    store = tmp_path / "trust.p12"
    keytool = [program("keytool"), "-importcert", "-noprompt", "-keystore", str(store), "-storetype", "PKCS12", "-storepass", "changeit"]
    assert run(cloud, *keytool, "-file", str(tls.ca_file(cloud.data))).returncode == 0
    source = tmp_path / "Ask.java"
    source.write_text(
        "import java.net.*; import java.net.http.*;\n"
        "class Ask { public static void main(String[] a) throws Exception {\n"
        "  var request = HttpRequest.newBuilder(URI.create(a[0])).build();\n"
        "  System.out.println(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode()); } }\n"
    )
    options = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    done = run(cloud, program("java"), *options, str(source), f"https://localhost:{port}/")
    assert done.stdout.strip() == "403", done.stderr


@pytest.mark.slow
def test_go_by_terraform(cloud: LabCloud, port: int, tmp_path: Path) -> None:
    """Go's TLS, which Docker's and AWS's agents have too, through the AWS provider."""
    from terraform_lab import Terraform, missing

    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    lab = Terraform(tmp_path / "terraform", cloud)
    lab._environment |= {"AWS_ENDPOINT_URL": f"https://localhost:{port}", "AWS_CA_BUNDLE": str(tls.ca_file(cloud.data))}
    lab.apply('resource "aws_ssm_parameter" "p" {\n  name  = "/by/go"\n  type  = "String"\n  value = "x"\n}\n')
    assert lab.plan() == ""
    lab.destroy()


@pytest.mark.slow
def test_many_handshakes_at_once(cloud: LabCloud, port: int) -> None:
    """A client that begins a handshake and stops holds nobody up."""
    halves = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(200)]
    for sock in halves:
        sock.sendall(b"\x16\x03\x01\x00\xa5\x01")
    context = ssl.create_default_context(cafile=str(tls.ca_file(cloud.data)))
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw, server_hostname="localhost") as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 403")
    assert time.monotonic() - started < 5
    for sock in halves:
        sock.close()
