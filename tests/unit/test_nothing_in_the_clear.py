"""No secret, secure parameter or key material stands in any file of the data directory, as it is or in any usual coat."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from clients import Door
from harness import InProcessCloud
from windtunnel.services.kms import keyring
from windtunnel.services.kms.lookups import find_key

SECRETS = [f"hush-{kind}-0f9d3c5b7a1e" for kind in ("parameter", "advanced", "secret", "binary", "history", "plaintext", "cloud trail")]


def fill(cloud: InProcessCloud) -> list[bytes]:
    """Uses everything that keeps a secret; the secrets and the key material."""
    door = Door(cloud)
    kms, ssm, secrets = (door.client(name) for name in ("kms", "ssm", "secretsmanager"))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    ssm.put_parameter(Name="/a", Value=SECRETS[0], Type="SecureString")
    ssm.put_parameter(Name="/a", Value=SECRETS[4], Type="SecureString", Overwrite=True)
    ssm.put_parameter(Name="/b", Value=SECRETS[1], Type="SecureString", Tier="Advanced", KeyId=key)
    ssm.get_parameters(Names=["/a", "/b"], WithDecryption=True)
    secrets.create_secret(Name="a", SecretString=SECRETS[2], KmsKeyId=key)
    secrets.put_secret_value(SecretId="a", SecretBinary=SECRETS[3].encode())
    secrets.get_secret_value(SecretId="a")
    kms.encrypt(KeyId=key, Plaintext=SECRETS[5].encode())
    found = [kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]]
    for spec, usage in (("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC"), ("ECC_NIST_P256", "SIGN_VERIFY")):
        made = kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
        found.append(cloud.read(lambda ctx, made=made: keyring.current_material(ctx, find_key(ctx, made))))
    return [*found, *(text.encode() for text in SECRETS)]


def coats(secret: bytes) -> list[bytes]:
    """How it could stand in a file. Base64 depends on where the secret begins among three bytes; its ends are left out."""
    shifted = [base64.b64encode(b"\0" * shift + secret).decode()[4:-4].encode() for shift in range(3)]
    return [secret, secret.hex().encode(), json.dumps(secret.decode("latin-1"))[1:-1].encode(), *shifted]


def test_nothing_in_the_clear(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with InProcessCloud(data) as cloud:
        hidden = fill(cloud)
        assert_hidden(data, hidden)
    assert_hidden(data, hidden)


def test_the_search_would_find_one(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        cloud.api("ssm", "PutParameter", name="/plain", value=SECRETS[0], type="String")
    found: list[Any] = [path for path in tmp_path.rglob("*") if path.is_file() and SECRETS[0].encode() in path.read_bytes()]
    assert found


def assert_hidden(data: Path, hidden: list[bytes]) -> None:
    files = [path for path in data.rglob("*") if path.is_file()]
    assert any(path.name == "cloud.db" for path in files)
    for path in files:
        content = path.read_bytes()
        for number, secret in enumerate(hidden):
            for coat in coats(secret):
                assert coat not in content, f"secret {number} stands in {path.name}"
