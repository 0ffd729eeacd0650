"""`aws kms`, `aws secretsmanager` and `aws ssm` as a person types them, against a real server; none of the secrets reaches the disk."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from shell import Shell, started_shell

pytestmark = pytest.mark.slow
SECRET = "hush-command-line-4711"


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    yield from started_shell(tmp_path_factory.mktemp("shell"))


def test_a_file_is_encrypted_and_decrypted(shell: Shell) -> None:
    key = shell.text("kms", "create-key", "--description", "for files", "--query", "KeyMetadata.KeyId")
    shell.aws("kms", "create-alias", "--alias-name", "alias/files", "--target-key-id", key)
    (shell.work / "plain.txt").write_text(SECRET)
    context = ("--encryption-context", "app=shop")
    sealed = shell.text(
        "kms", "encrypt", "--key-id", "alias/files", "--plaintext", "fileb://plain.txt", *context, "--query", "CiphertextBlob"
    )
    (shell.work / "plain.txt").unlink()
    (shell.work / "sealed").write_bytes(base64.b64decode(sealed))
    opened = shell.text("kms", "decrypt", "--ciphertext-blob", "fileb://sealed", *context, "--query", "Plaintext")
    assert base64.b64decode(opened).decode() == SECRET
    shell.aws("kms", "decrypt", "--ciphertext-blob", "fileb://sealed", fails="InvalidCiphertextException")
    moved = shell.text(
        "kms", "re-encrypt", "--ciphertext-blob", "fileb://sealed", "--source-encryption-context", "app=shop",
        "--destination-key-id", key, "--query", "CiphertextBlob",
    )  # fmt: skip
    (shell.work / "moved").write_bytes(base64.b64decode(moved))
    assert base64.b64decode(shell.text("kms", "decrypt", "--ciphertext-blob", "fileb://moved", "--query", "Plaintext")).decode() == SECRET
    names = json.loads(shell.aws("kms", "list-aliases", "--query", "Aliases[?TargetKeyId=='" + key + "'].AliasName"))
    assert names == ["alias/files"]
    shell.aws("kms", "enable-key-rotation", "--key-id", key)
    assert shell.text("kms", "get-key-rotation-status", "--key-id", key, "--query", "KeyRotationEnabled") == "True"
    assert json.loads(shell.text("kms", "get-key-policy", "--key-id", key, "--policy-name", "default", "--query", "Policy"))["Statement"]
    shell.aws("kms", "schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7")
    shell.aws("kms", "describe-key", "--key-id", "alias/nothing", fails="NotFoundException")


def test_a_release_is_signed(shell: Shell) -> None:
    key = shell.text("kms", "create-key", "--key-spec", "RSA_3072", "--key-usage", "SIGN_VERIFY", "--query", "KeyMetadata.KeyId")
    (shell.work / "release.txt").write_text("release 1")
    algorithm = ("--signing-algorithm", "RSASSA_PSS_SHA_256", "--message-type", "RAW")
    signature = shell.text("kms", "sign", "--key-id", key, "--message", "fileb://release.txt", *algorithm, "--query", "Signature")
    (shell.work / "signature").write_bytes(base64.b64decode(signature))
    verify = ("kms", "verify", "--key-id", key, "--signature", "fileb://signature", *algorithm)
    assert shell.text(*verify, "--message", "fileb://release.txt", "--query", "SignatureValid") == "True"
    (shell.work / "release.txt").write_text("release 2")
    shell.aws(*verify, "--message", "fileb://release.txt", fails="KMSInvalidSignatureException")


def test_a_secret_from_its_making_to_its_end(shell: Shell) -> None:
    password = shell.text("secretsmanager", "get-random-password", "--password-length", "24", "--exclude-punctuation")
    assert len(password) == 24
    shell.aws("secretsmanager", "create-secret", "--name", "app/db", "--secret-string", json.dumps({"password": SECRET}))
    value = shell.text("secretsmanager", "get-secret-value", "--secret-id", "app/db", "--query", "SecretString")
    assert json.loads(value) == {"password": SECRET}
    shell.aws("secretsmanager", "put-secret-value", "--secret-id", "app/db", "--secret-string", f"new {SECRET}")
    shell.aws("secretsmanager", "update-secret", "--secret-id", "app/db", "--description", "the database")
    old = ("--version-stage", "AWSPREVIOUS", "--query", "SecretString")
    assert json.loads(shell.text("secretsmanager", "get-secret-value", "--secret-id", "app/db", *old)) == {"password": SECRET}
    shell.aws("secretsmanager", "tag-resource", "--secret-id", "app/db", "--tags", "Key=team,Value=a")
    listed = ("secretsmanager", "list-secrets", "--filters", "Key=tag-key,Values=team", "--query", "SecretList[].Name")
    assert json.loads(shell.aws(*listed)) == ["app/db"]
    shell.aws("secretsmanager", "delete-secret", "--secret-id", "app/db", "--recovery-window-in-days", "7")
    shell.aws("secretsmanager", "get-secret-value", "--secret-id", "app/db", fails="marked for deletion")
    shell.aws("secretsmanager", "restore-secret", "--secret-id", "app/db")
    shell.aws("secretsmanager", "delete-secret", "--secret-id", "app/db", "--force-delete-without-recovery")
    shell.aws("secretsmanager", "describe-secret", "--secret-id", "app/db", fails="ResourceNotFoundException")


def test_parameters(shell: Shell) -> None:
    shell.aws("ssm", "put-parameter", "--name", "/cli/secret", "--type", "SecureString", "--value", SECRET)
    assert shell.text("ssm", "get-parameter", "--name", "/cli/secret", "--with-decryption", "--query", "Parameter.Value") == SECRET
    assert SECRET not in shell.aws("ssm", "get-parameter", "--name", "/cli/secret")
    shell.aws("ssm", "put-parameter", "--name", "/cli/plain", "--type", "StringList", "--value", "a,b", "--tags", "Key=k,Value=v")
    shell.aws("ssm", "label-parameter-version", "--name", "/cli/plain", "--labels", "prod")
    assert shell.text("ssm", "get-parameter", "--name", "/cli/plain:prod", "--query", "Parameter.Version") == "1"
    by_path = ("ssm", "get-parameters-by-path", "--path", "/cli", "--with-decryption", "--query", "Parameters[].Value")
    assert sorted(json.loads(shell.aws(*by_path))) == ["a,b", SECRET]
    shell.aws("secretsmanager", "create-secret", "--name", "referenced", "--secret-string", f"ref {SECRET}")
    reference = ("ssm", "get-parameter", "--name", "/aws/reference/secretsmanager/referenced", "--with-decryption")
    assert shell.text(*reference, "--query", "Parameter.Value") == f"ref {SECRET}"
    shell.aws("ssm", "delete-parameters", "--names", "/cli/plain")


def test_none_of_it_is_on_the_disk(shell: Shell) -> None:
    """After all of the above (CloudTrail has recorded it, decisions were remembered), also when the cloud is down."""
    shell.cloud.stop()
    coats = [SECRET.encode(), SECRET.encode().hex().encode()]
    coats += [base64.b64encode(b"\0" * shift + SECRET.encode())[4:-4] for shift in range(3)]
    files = [path for path in (shell.work / "data").rglob("*") if path.is_file()] + [shell.work / "log"]
    assert len(files) > 3
    assert [(path.name, coat) for path in files for coat in coats if coat in path.read_bytes()] == []
