"""`/aws/reference/secretsmanager/NAME`: a secret, read as if it were a parameter (User Guide, "Referencing Secrets Manager secrets")."""

from __future__ import annotations

import json
import re
from typing import Any

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.services.ssm.model import invalid, parameter_arn

PREFIX = "/aws/reference/secretsmanager/"
_VERSION_ID = re.compile(r"[0-9a-zA-Z-]{32,64}\Z")


def is_reference(name: str) -> bool:
    return name.startswith(PREFIX)


def referenced(ctx: Context, name: str, selector: str, with_decryption: bool) -> dict[str, Any]:
    """The Parameter shape of a secret. selector: `:label` or `:version id`. Only its own permissions let the caller read it."""
    if not with_decryption:
        raise invalid("WithDecryption flag must be True for retrieving a Secret Manager secret.")
    asked: dict[str, Any] = {"secret_id": name.removeprefix(PREFIX)}
    if selector:
        wanted = selector[1:]
        asked["version_id" if _VERSION_ID.match(wanted) else "version_stage"] = wanted
    try:
        found = ctx.on_behalf("ssm").call("secretsmanager", "GetSecretValue", **asked)
    except AwsError as error:
        if error.code == "ResourceNotFoundException":
            raise AwsError(
                "ParameterNotFound", f"An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret {name} not found."
            ) from None
        if error.code in ("AccessDenied", "AccessDeniedException"):
            raise AwsError(
                "AccessDeniedException", f"An error occurred (AccessDeniedException) when referencing Secrets Manager: {error.message}"
            ) from None
        raise invalid(f"An error occurred ({error.code}) when referencing Secrets Manager: {error.message}") from None
    if "SecretString" not in found:
        raise invalid(f"The secret {name} is binary, which a parameter cannot be.")
    source = {
        "ARN": found["ARN"],
        "name": found["Name"],
        "versionId": found["VersionId"],
        "versionStages": found["VersionStages"],
        "createdDate": found["CreatedDate"],
    }
    entry = {
        "Name": name,
        "Type": "SecureString",
        "Value": found["SecretString"],
        "Version": 0,
        "SourceResult": json.dumps(source),
        "LastModifiedDate": found["CreatedDate"],
        "ARN": parameter_arn(ctx.scope, name),
        "DataType": "text",
    }
    return {**entry, "Selector": selector} if selector else entry
