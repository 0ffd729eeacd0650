"""CreateKey, DescribeKey, ListKeys, UpdateKeyDescription."""

from __future__ import annotations

from typing import Any

from windtunnel.iam.grammar import validate
from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.lazy import LazyKeys
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Scope
from windtunnel.services.kms import keyring
from windtunnel.services.kms.guard import caller_keys, everywhere, key_keys, on_any_key, on_changed_key, request_tags, spec_keys
from windtunnel.services.kms.lookups import Found, changeable, find_key
from windtunnel.services.kms.managed import managed_keys
from windtunnel.services.kms.model import MAX_POLICY, Key, check_not_ending, default_policy, key_arn, metadata, tag_map
from windtunnel.services.kms.operations.encryption import check_tokens
from windtunnel.services.kms.paging import page
from windtunnel.services.kms.principals import check_principals
from windtunnel.services.kms.specs import ENCRYPT, SYMMETRIC, USAGES, symmetric

Tags = list[dict[str, str]]


def check_policy(ctx: Context, found: Found, policy: str, bypass: bool) -> None:
    """A key policy is a policy, and, unless the caller says otherwise, lets the caller change it again."""
    if len(policy) > MAX_POLICY:
        raise AwsError("LimitExceededException", f"The key policy is longer than {MAX_POLICY} bytes.")
    document = validate(policy, "resource", code="MalformedPolicyDocumentException")
    check_principals(ctx, document)
    if bypass:
        return
    keys = LazyKeys(lambda: key_keys(ctx, found))
    again = Need("kms:PutKeyPolicy", found.arn, keys, policy, found.scope.account, resource_policy_required=True)
    try:
        ctx.cloud.identity.check(ctx, [again])
    except AwsError:
        words = "The new key policy will not allow you to update the key policy in the future."
        raise AwsError("MalformedPolicyDocumentException", words) from None


def wanted(key_spec: str | None, legacy: str | None, key_usage: str | None) -> tuple[str, str]:
    """(spec, usage) of a new key. Raises ValidationException for what does not go together."""
    if key_spec is not None and legacy is not None:
        words = "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated."
        raise AwsError("ValidationException", words)
    spec = key_spec or legacy or SYMMETRIC
    if spec not in USAGES:
        raise not_built("kms", "CreateKey", f"KeySpec {spec}")
    if key_usage is None and spec != SYMMETRIC:
        words = "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
        raise AwsError("ValidationException", words)
    usage = key_usage or ENCRYPT
    if usage not in USAGES[spec]:
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return spec, usage


def on_create(
    ctx: Context,
    key_usage: str | None = None,
    key_spec: str | None = None,
    customer_master_key_spec: str | None = None,
    origin: str = "AWS_KMS",
    bypass_policy_lockout_safety_check: bool = False,
    tags: Tags | None = None,
    multi_region: bool = False,
    **_: Any,
) -> list[Need]:
    def keys() -> dict[str, Any]:
        spec = key_spec or customer_master_key_spec or SYMMETRIC
        return {
            **caller_keys(ctx),
            **spec_keys(spec, key_usage or ENCRYPT, origin, multi_region),
            **request_tags(tags),
            "kms:BypassPolicyLockoutSafetyCheck": bypass_policy_lockout_safety_check,
        }

    needs = [Need("kms:CreateKey", "*", LazyKeys(keys))]
    return [*needs, Need("kms:TagResource", ctx.arn("kms", "key/*"), LazyKeys(keys))] if tags else needs


def make_pair(ctx: Context, args: dict[str, Any]) -> dict[str, Any]:
    """An asymmetric key's pair, before the transaction: RSA takes its time."""
    spec, _ = wanted(args.get("key_spec"), args.get("customer_master_key_spec"), args.get("key_usage"))
    if symmetric(spec) or args.get("origin", "AWS_KMS") != "AWS_KMS":
        return args
    return {**args, "pair": _pair(spec)}


def _pair(spec: str) -> tuple[bytes, bytes]:
    from windtunnel.services.kms import asymmetric

    return asymmetric.generate(spec)


@writes(
    "kms",
    "CreateKey",
    authorize=on_create,
    acts="Policy KeyUsage CustomerMasterKeySpec KeySpec Origin MultiRegion BypassPolicyLockoutSafetyCheck Tags[].TagKey Tags[].TagValue",
    descriptive="Description",
    prepare=make_pair,
)
def create_key(
    ctx: Context,
    policy: str | None = None,
    description: str = "",
    key_usage: str | None = None,
    customer_master_key_spec: str | None = None,
    key_spec: str | None = None,
    origin: str = "AWS_KMS",
    bypass_policy_lockout_safety_check: bool = False,
    tags: Tags | None = None,
    multi_region: bool = False,
    pair: tuple[bytes, bytes] | None = None,
) -> Reply:
    spec, usage = wanted(key_spec, customer_master_key_spec, key_usage)
    if origin not in ("AWS_KMS", "EXTERNAL"):
        raise not_built("kms", "CreateKey", f"Origin {origin}")
    name = ctx.ids.uuid()
    key = Key(
        id="mrk-" + name.replace("-", "") if multi_region else name,
        created=ctx.now,
        policy=policy or default_policy(ctx.scope.account),
        description=description,
        usage=usage,
        spec=spec,
        origin=origin,
        multi_region=multi_region,
        tags=tag_map({}, tags or []),
    )
    if policy is not None:
        check_policy(ctx, Found(key, ctx.scope), policy, bypass_policy_lockout_safety_check)
    if origin == "AWS_KMS":
        _fill(ctx, key, pair)
    ctx.tx.put(key)
    return {"KeyMetadata": metadata(ctx.scope, key, ctx.now)}


def _fill(ctx: Context, key: Key, pair: tuple[bytes, bytes] | None) -> None:
    """A new key's first material."""
    if symmetric(key.spec):
        key.materials = [keyring.new_material(ctx, key.id, key.spec)]
        return
    private, key.public = pair or _pair(key.spec)
    key.materials = [keyring.seal_material(ctx, key.id, private)]


@reads("kms", "DescribeKey", authorize=on_any_key("DescribeKey"), acts="KeyId GrantTokens[]")
def describe_key(ctx: Context, key_id: str, grant_tokens: list[str] | None = None) -> Reply:
    found = find_key(ctx, key_id)
    check_tokens(ctx, found, grant_tokens)
    return {"KeyMetadata": metadata(found.scope, found.key, ctx.now)}


@reads("kms", "ListKeys", authorize=everywhere("ListKeys"), acts="Limit Marker", cost="scan")
def list_keys(ctx: Context, limit: int = 100, marker: str | None = None) -> Reply:
    keys = sorted([*ctx.tx.scan(Key), *managed_keys(ctx.scope)], key=lambda key: key.id)
    shown, rest = page(keys, lambda key: key.id, limit, marker)
    return {"Keys": [_entry(ctx.scope, key) for key in shown], **rest}


def _entry(scope: Scope, key: Key) -> dict[str, str]:
    return {"KeyId": key.id, "KeyArn": key_arn(scope, key.id)}


@writes("kms", "UpdateKeyDescription", authorize=on_changed_key("UpdateKeyDescription"), acts="KeyId", descriptive="Description")
def update_key_description(ctx: Context, key_id: str, description: str) -> Reply:
    found = changeable(ctx, key_id)
    check_not_ending(found.arn, found.key)
    found.key.description = description
    ctx.tx.put(found.key)
    return {}
