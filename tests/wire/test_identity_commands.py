"""`windtunnel account`, `env --account` and `explain` against a started server, and the aws CLI as their user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from windtunnel.commands.explain import moment
from windtunnel.labs.cloud import LabCloud

OTHER = "222222222222"


def test_a_moment_is_an_age_or_a_time() -> None:
    assert moment("10m", 1000.0) == 400.0
    assert moment("2h", 7200.0) == 0.0
    assert moment("1970-01-01T00:01:00+00:00", 0.0) == 60.0
    assert moment("yesterday", 0.0) is None


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabCloud]:
    root = tmp_path_factory.mktemp("identity")
    running = LabCloud(root / "data", root / "cloud.log")
    running.start()
    yield running
    running.stop()


def windtunnel(cloud: LabCloud, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "windtunnel", *arguments, "--data", str(cloud.data)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def aws(cloud: LabCloud, account: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The unmodified CLI with the root keys of an account."""
    keys = json.loads(windtunnel(cloud, "env", "--json", "--account", account).stdout)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": keys["endpoint"],
        "AWS_ACCESS_KEY_ID": keys["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
        "AWS_DEFAULT_REGION": keys["region"],
        "AWS_PAGER": "",
    }
    program = str(Path(sys.executable).with_name("aws"))
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_an_account_is_made_listed_and_used(cloud: LabCloud) -> None:
    made = windtunnel(cloud, "account", "create", OTHER, "--name", "staging")
    assert (made.returncode, made.stdout.split()) == (0, [OTHER, "staging"])
    again = windtunnel(cloud, "account", "create", OTHER)
    assert again.returncode == 1
    assert "is there already" in again.stderr
    listed = json.loads(windtunnel(cloud, "account", "list", "--json").stdout)
    assert {each["account"] for each in listed} >= {OTHER}
    told = json.loads(aws(cloud, OTHER, "sts", "get-caller-identity").stdout)
    assert told["Arn"] == f"arn:aws:iam::{OTHER}:root"
    nobody = windtunnel(cloud, "env", "--account", "999999999999")
    assert nobody.returncode == 1
    assert "windtunnel account create 999999999999" in nobody.stderr
    assert "AWS_REGION=eu-west-1" in windtunnel(cloud, "env", "--region", "eu-west-1").stdout


@pytest.mark.slow
def test_a_refusal_is_explained(cloud: LabCloud) -> None:
    first = json.loads(windtunnel(cloud, "account", "list", "--json").stdout)[0]["account"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}})
    trust = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": first}, "Action": "sts:AssumeRole"}})
    aws(cloud, first, "iam", "create-user", "--user-name", "dev")
    allow = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}})
    aws(cloud, first, "iam", "put-user-policy", "--user-name", "dev", "--policy-name", "p", "--policy-document", allow)
    aws(cloud, first, "iam", "create-role", "--role-name", "Reader", "--assume-role-policy-document", trust)
    aws(cloud, first, "iam", "put-role-policy", "--role-name", "Reader", "--policy-name", "may", "--policy-document", policy)
    key = json.loads(aws(cloud, first, "iam", "create-access-key", "--user-name", "dev").stdout)["AccessKey"]
    endpoint = json.loads(windtunnel(cloud, "env", "--json").stdout)["endpoint"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cloud.data),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_PAGER": "",
    }
    config = cloud.data / "aws-config"
    config.write_text(f"[profile reader]\nrole_arn = arn:aws:iam::{first}:role/Reader\ncredential_source = Environment\n")
    environment["AWS_CONFIG_FILE"] = str(config)
    program = str(Path(sys.executable).with_name("aws"))

    def as_reader(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, "--profile", "reader", *arguments], env=environment, capture_output=True, text=True, timeout=60)

    assert as_reader("iam", "list-users").returncode == 0, "the CLI assumes the role by itself"
    assert "AccessDenied" in as_reader("iam", "list-roles").stderr
    told = windtunnel(cloud, "explain", "Reader")
    assert "may not iam:ListRoles" in told.stdout
    assert "because no statement of an identity-based policy allows it" in told.stdout
    least = windtunnel(cloud, "explain", "--least", "Reader", "--since", "1h")
    assert [each["Action"] for each in json.loads(least.stdout)["Statement"]] == [["iam:ListUsers"]]
    assert "refused, and not in the policy: iam:ListRoles" in least.stderr
    assert windtunnel(cloud, "explain", "Nobody").returncode == 1
