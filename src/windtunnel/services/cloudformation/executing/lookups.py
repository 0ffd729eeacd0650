"""Dynamic references: `{{resolve:ssm:…}}`, `{{resolve:ssm-secure:…}}`, `{{resolve:secretsmanager:…}}` (AWS CloudFormation user guide, dynamic references).

Invariant: what is looked up is handed to the resource's service and to nobody else: no record, no event and no template of ours holds it.
"""

from __future__ import annotations

import json

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.provision.registry import Failed
from windtunnel.services.cloudformation.language.dynamic import DynamicReference


def dynamic_value(actor: Context, reference: DynamicReference) -> str:
    """The value behind a reference, read as the operation's principal. Raises Failed in CloudFormation's words, or the service's AwsError."""
    return _secret(actor, reference) if reference.service == "secretsmanager" else _parameter(actor, reference)


def _parameter(actor: Context, reference: DynamicReference) -> str:
    secure = reference.service == "ssm-secure"
    name = f"{reference.name}:{reference.version}" if reference.version else reference.name
    try:
        found = actor.call("ssm", "GetParameter", name=name, with_decryption=secure)["Parameter"]
    except AwsError as error:
        if error.code not in ("ParameterNotFound", "ParameterVersionNotFound"):
            raise _refused(actor, "AWSSimpleSystemsManagement", error) from None
        raise Failed(f"Parameters: [{reference.service}:{name}] cannot be found.", "") from None
    if found["Type"] == "SecureString" and not secure:
        raise Failed(f"Parameters: [ssm:{name}] of type SecureString must be referenced by ssm-secure.", "")
    value: str = found["Value"]
    return value


def _refused(actor: Context, service: str, error: AwsError) -> Failed:
    """In the words of the SDK with which CloudFormation itself looks a reference up."""
    told = f"Service: {service}; Status Code: 400; Error Code: {error.code}; Request ID: {actor.ids.uuid()}; Proxy: null"
    return Failed(f"{error.message} ({told})", "")


def _secret(actor: Context, reference: DynamicReference) -> str:
    asked = {"secret_id": reference.name}
    if reference.stage:
        asked["version_stage"] = reference.stage
    if reference.version:
        asked["version_id"] = reference.version
    try:
        value: str | None = actor.call("secretsmanager", "GetSecretValue", **asked).get("SecretString")
    except AwsError as error:
        raise _refused(actor, "AWSSecretsManager", error) from None
    if value is None:
        raise Failed(f"Secret {reference.name} has no SecretString: binary secrets cannot be referenced.", "")
    if not reference.json_key:
        return value
    try:
        found = json.loads(value)[reference.json_key]
    except (ValueError, KeyError, TypeError):
        raise Failed("Could not find a value associated with JSONKey in SecretString", "") from None
    return found if isinstance(found, str) else json.dumps(found)
