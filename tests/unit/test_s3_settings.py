"""Object lock, ACLs, lifecycle and the configurations of a bucket, through their operations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import ACCOUNT, InProcessCloud, until
from windtunnel.kernel.clock import FixedClock, SystemClock
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Principal
from windtunnel.services.s3.acl import AUTHENTICATED, EVERYBODY, canonical_id
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.expiring import PHASES, look

DAY = 86400.0
OTHER = "210987654321"
NOBODY = Principal.anonymous()
STRANGER = Principal.root(OTHER)


@pytest.fixture()
def clock() -> FixedClock:
    return FixedClock(1_700_006_400.0)  # a midnight


@pytest.fixture()
def cloud(tmp_path: Path, clock: FixedClock) -> Iterator[InProcessCloud]:
    with InProcessCloud(tmp_path, clock=clock) as started:
        started.api("s3", "CreateBucket", bucket="box")
        yield started


def s3(cloud: InProcessCloud, operation: str, **args: Any) -> Any:
    return cloud.api("s3", operation, **{"bucket": "box", **args})


def refused(cloud: InProcessCloud, operation: str, **args: Any) -> str:
    with pytest.raises(AwsError) as caught:
        s3(cloud, operation, **args)
    return caught.value.code


def put(cloud: InProcessCloud, key: str, data: bytes = b"x", **args: Any) -> Any:
    return s3(cloud, "PutObject", key=key, body=data, **args)


def versions(cloud: InProcessCloud) -> list[tuple[str, str]]:
    reply = s3(cloud, "ListObjectVersions")
    return [("version", item["Key"]) for item in reply["Versions"]] + [("marker", item["Key"]) for item in reply["DeleteMarkers"]]


# -- object lock --------------------------------------------------------------------------------------------------------


@pytest.fixture()
def locked(cloud: InProcessCloud) -> InProcessCloud:
    cloud.api("s3", "CreateBucket", bucket="safe", object_lock_enabled_for_bucket=True)
    return cloud


def test_a_bucket_with_object_lock_has_versioning_for_good(locked: InProcessCloud) -> None:
    assert locked.api("s3", "GetBucketVersioning", bucket="safe") == {"Status": "Enabled"}
    assert refused(locked, "PutBucketVersioning", bucket="safe", versioning_configuration={"Status": "Suspended"}) == "InvalidBucketState"
    assert locked.api("s3", "GetObjectLockConfiguration", bucket="safe") == {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    assert refused(locked, "GetObjectLockConfiguration") == "ObjectLockConfigurationNotFoundError"
    on = {"ObjectLockEnabled": "Enabled"}
    assert refused(locked, "PutObjectLockConfiguration", object_lock_configuration=on) == "InvalidBucketState"


@pytest.mark.parametrize("mode, bypassed", [("GOVERNANCE", True), ("COMPLIANCE", False)])
def test_retention_keeps_a_version(locked: InProcessCloud, clock: FixedClock, mode: str, bypassed: bool) -> None:
    until_then = clock.now() + 10 * DAY
    version = put(locked, "k", bucket="safe", object_lock_mode=mode, object_lock_retain_until_date=until_then)["VersionId"]
    named = {"bucket": "safe", "key": "k", "version_id": version}
    assert locked.api("s3", "GetObjectRetention", **named)["Retention"] == {"Mode": mode, "RetainUntilDate": until_then}
    assert locked.api("s3", "HeadObject", bucket="safe", key="k")["ObjectLockMode"] == mode
    assert refused(locked, "DeleteObject", **named) == "AccessDenied"
    assert locked.api("s3", "DeleteObject", bucket="safe", key="k")["DeleteMarker"]
    shorter = {"Mode": mode, "RetainUntilDate": clock.now() + DAY}
    assert refused(locked, "PutObjectRetention", **named, retention=shorter) == "AccessDenied"
    locked.api("s3", "PutObjectRetention", **named, retention={"Mode": mode, "RetainUntilDate": until_then + DAY})
    if bypassed:
        locked.api("s3", "DeleteObject", **named, bypass_governance_retention=True)
    else:
        assert refused(locked, "DeleteObject", **named, bypass_governance_retention=True) == "AccessDenied"
        clock.advance(12 * DAY)
        locked.api("s3", "DeleteObject", **named)
    assert refused(locked, "GetObject", **named) == "NoSuchVersion"


def test_a_legal_hold_keeps_a_version_until_it_is_lifted(locked: InProcessCloud) -> None:
    version = put(locked, "k", bucket="safe", object_lock_legal_hold_status="ON")["VersionId"]
    named = {"bucket": "safe", "key": "k", "version_id": version}
    assert refused(locked, "DeleteObject", **named, bypass_governance_retention=True) == "AccessDenied"
    reply = locked.api("s3", "DeleteObjects", bucket="safe", delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert reply["Errors"][0]["Code"] == "AccessDenied"
    locked.api("s3", "PutObjectLegalHold", **named, legal_hold={"Status": "OFF"})
    assert locked.api("s3", "GetObjectLegalHold", **named)["LegalHold"] == {"Status": "OFF"}
    locked.api("s3", "DeleteObject", **named)


def test_the_buckets_default_retention_holds_for_new_versions(locked: InProcessCloud, clock: FixedClock) -> None:
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Years": 1}}
    locked.api("s3", "PutObjectLockConfiguration", bucket="safe", object_lock_configuration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    put(locked, "k", bucket="safe")
    kept = locked.api("s3", "GetObjectRetention", bucket="safe", key="k")["Retention"]
    assert kept == {"Mode": "COMPLIANCE", "RetainUntilDate": clock.now() + 366 * DAY}
    assert refused(locked, "PutObject", key="k", body=b"", object_lock_mode="COMPLIANCE") == "InvalidArgument"
    both = {"object_lock_mode": "COMPLIANCE", "object_lock_retain_until_date": clock.now() + DAY}
    assert refused(locked, "PutObject", key="k", body=b"", **both) == "InvalidRequest"


# -- ACLs ---------------------------------------------------------------------------------------------------------------


def opened(cloud: InProcessCloud, ownership: str = "ObjectWriter") -> None:
    """ACLs count, and may be public."""
    s3(cloud, "PutBucketOwnershipControls", ownership_controls={"Rules": [{"ObjectOwnership": ownership}]})
    s3(cloud, "DeletePublicAccessBlock")


def test_a_public_object_is_everybodys_to_read_until_public_acls_are_ignored(cloud: InProcessCloud) -> None:
    opened(cloud)
    put(cloud, "open", acl="public-read")
    put(cloud, "shut")
    assert s3(cloud, "GetObject", key="open", principal=NOBODY)["ContentLength"] == 1
    assert refused(cloud, "GetObject", key="shut", principal=NOBODY) == "AccessDenied"
    assert refused(cloud, "PutObject", key="open", body=b"", principal=NOBODY) == "AccessDenied"
    assert refused(cloud, "ListObjectsV2", principal=NOBODY) == "AccessDenied"
    s3(cloud, "PutBucketAcl", acl="public-read")
    assert s3(cloud, "ListObjectsV2", principal=NOBODY)["KeyCount"] == 2
    s3(cloud, "PutPublicAccessBlock", public_access_block_configuration={"IgnorePublicAcls": True})
    assert refused(cloud, "GetObject", key="open", principal=NOBODY) == "AccessDenied"
    assert refused(cloud, "ListObjectsV2", principal=NOBODY) == "AccessDenied"


def test_blocked_public_acls_are_refused(cloud: InProcessCloud) -> None:
    opened(cloud)
    s3(cloud, "PutPublicAccessBlock", public_access_block_configuration={"BlockPublicAcls": True})
    assert refused(cloud, "PutObject", key="k", body=b"", acl="public-read") == "AccessDenied"
    assert refused(cloud, "PutBucketAcl", acl="authenticated-read") == "AccessDenied"


def test_another_account_reads_what_is_granted_to_it(cloud: InProcessCloud) -> None:
    opened(cloud)
    put(cloud, "k", grant_read=f'id="{canonical_id(OTHER)}"')
    assert s3(cloud, "GetObject", key="k", principal=STRANGER)["ContentLength"] == 1
    assert refused(cloud, "GetObjectAcl", key="k", principal=STRANGER) == "AccessDenied"
    policy = s3(cloud, "GetObjectAcl", key="k")
    policy["Grants"].append({"Grantee": {"Type": "CanonicalUser", "ID": canonical_id(OTHER)}, "Permission": "READ_ACP"})
    s3(cloud, "PutObjectAcl", key="k", access_control_policy=policy)
    assert len(s3(cloud, "GetObjectAcl", key="k", principal=STRANGER)["Grants"]) == 2
    s3(cloud, "PutObjectAcl", key="k", acl="authenticated-read")
    assert s3(cloud, "GetObject", key="k", principal=STRANGER)["ContentLength"] == 1
    assert refused(cloud, "GetObject", key="k", principal=NOBODY) == "AccessDenied"


def test_an_object_belongs_to_its_writer_unless_it_is_handed_over(cloud: InProcessCloud) -> None:
    opened(cloud, "BucketOwnerPreferred")
    s3(cloud, "PutBucketAcl", grant_write=f'id="{canonical_id(OTHER)}"', grant_full_control=f'id="{canonical_id(ACCOUNT)}"')
    put(cloud, "theirs", principal=STRANGER)
    put(cloud, "ours", principal=STRANGER, acl="bucket-owner-full-control")
    assert refused(cloud, "GetObject", key="theirs") == "AccessDenied"
    assert s3(cloud, "GetObject", key="theirs", principal=STRANGER)["ContentLength"] == 1
    assert s3(cloud, "GetObjectAcl", key="ours")["Owner"] == {"ID": canonical_id(ACCOUNT)}
    assert s3(cloud, "GetObject", key="ours")["ContentLength"] == 1
    s3(cloud, "DeleteObject", key="theirs")


@pytest.mark.parametrize(
    "args, code",
    [
        pytest.param({"acl": "public-read", "grant_read": 'id="x"'}, "InvalidRequest", id="both ways"),
        pytest.param({"grant_read": 'emailAddress="a@b"'}, "UnresolvableGrantByEmailAddress", id="by address"),
        pytest.param({"grant_read": 'uri="http://x"'}, "InvalidArgument", id="no group"),
        pytest.param({"grant_read": "someone"}, "InvalidArgument", id="no grantee"),
        pytest.param({}, "MissingSecurityHeader", id="nothing"),
        pytest.param({"access_control_policy": {"Owner": {"ID": "x"}, "Grants": []}}, "AccessDenied", id="another owner"),
        pytest.param({"access_control_policy": {"Grants": []}}, "MalformedACLError", id="no owner"),
    ],
)
def test_bad_lists_are_refused(cloud: InProcessCloud, args: dict[str, Any], code: str) -> None:
    opened(cloud)
    assert refused(cloud, "PutBucketAcl", **args) == code


def test_enforced_ownership_takes_no_lists(cloud: InProcessCloud) -> None:
    assert refused(cloud, "PutObject", key="k", body=b"", acl="public-read") == "AccessControlListNotSupported"
    put(cloud, "k", acl="bucket-owner-full-control")
    assert refused(cloud, "PutObjectAcl", key="k", acl="private") == "AccessControlListNotSupported"
    opened(cloud)
    s3(cloud, "PutBucketAcl", acl="public-read")
    uris = [grant["Grantee"].get("URI") for grant in s3(cloud, "GetBucketAcl")["Grants"]]
    assert uris == [None, EVERYBODY]
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert refused(cloud, "PutBucketOwnershipControls", ownership_controls=enforced) == "InvalidBucketAclWithObjectOwnership"
    assert AUTHENTICATED not in uris


# -- lifecycle ----------------------------------------------------------------------------------------------------------


def lifecycle(cloud: InProcessCloud, *rules: dict[str, Any], **args: Any) -> None:
    configuration = {"Rules": [{"Status": "Enabled", "Filter": {}, **rule} for rule in rules]}
    s3(cloud, "PutBucketLifecycleConfiguration", lifecycle_configuration=configuration, **args)


def carried_out(cloud: InProcessCloud) -> None:
    """One look at everything, as the bucket's run would take it now."""
    home = cloud.read(lambda ctx: ctx.tx.get(Bucket, "box"))
    assert home is not None
    for phase in PHASES:
        after = ""
        while (following := cloud.write(lambda ctx, p=phase, a=after: look(ctx, "box", home.lifecycle_run, p, a))) and following[
            0
        ] == phase:
            after = following[1]


def test_objects_expire_at_the_midnight_after_their_days(cloud: InProcessCloud, clock: FixedClock) -> None:
    clock.advance(3600)
    for n in range(70):
        put(cloud, f"tmp/{n:02d}")
    put(cloud, "kept")
    lifecycle(cloud, {"ID": "r", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 2}})
    clock.advance(2 * DAY)
    carried_out(cloud)
    assert s3(cloud, "ListObjectsV2")["KeyCount"] == 71
    clock.advance(DAY - 3600)
    carried_out(cloud)
    assert [item["Key"] for item in s3(cloud, "ListObjectsV2")["Contents"]] == ["kept"]


def test_versions_expire_into_markers_and_markers_alone_go(cloud: InProcessCloud, clock: FixedClock) -> None:
    s3(cloud, "PutBucketVersioning", versioning_configuration={"Status": "Enabled"})
    for _ in range(4):
        put(cloud, "k")
        clock.advance(1)
    lifecycle(
        cloud,
        {"ID": "old", "NoncurrentVersionExpiration": {"NoncurrentDays": 1, "NewerNoncurrentVersions": 1}},
        {"ID": "now", "Expiration": {"Days": 5}},
    )
    clock.advance(3 * DAY)
    carried_out(cloud)
    assert versions(cloud) == [("version", "k")] * 2
    clock.advance(4 * DAY)
    carried_out(cloud)
    assert versions(cloud) == [("version", "k"), ("marker", "k")]
    lifecycle(cloud, {"ID": "old", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, {"ID": "m", "Expiration": {"Days": 1}})
    clock.advance(3 * DAY)
    carried_out(cloud)
    carried_out(cloud)
    assert versions(cloud) == []


def test_uploads_that_are_never_completed_go(cloud: InProcessCloud, clock: FixedClock) -> None:
    s3(cloud, "CreateMultipartUpload", key="big")
    lifecycle(cloud, {"ID": "a", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}})
    clock.advance(2 * DAY)
    carried_out(cloud)
    assert len(s3(cloud, "ListMultipartUploads")["Uploads"]) == 1
    clock.advance(DAY)
    carried_out(cloud)
    assert s3(cloud, "ListMultipartUploads")["Uploads"] == []


def test_transitions_give_a_storage_class_and_archives_must_be_restored(cloud: InProcessCloud, clock: FixedClock) -> None:
    put(cloud, "big", b"x" * 200_000)
    put(cloud, "small")
    moves = [{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 60, "StorageClass": "GLACIER"}]
    lifecycle(cloud, {"ID": "t", "Transitions": moves})
    clock.advance(31 * DAY)
    carried_out(cloud)
    assert s3(cloud, "HeadObject", key="big")["StorageClass"] == "STANDARD_IA"
    clock.advance(30 * DAY)
    carried_out(cloud)
    assert s3(cloud, "HeadObject", key="big")["StorageClass"] == "GLACIER"
    assert "StorageClass" not in s3(cloud, "HeadObject", key="small")
    assert refused(cloud, "GetObject", key="big") == "InvalidObjectState"
    assert refused(cloud, "RestoreObject", key="small", restore_request={"Days": 1}) == "InvalidObjectState"
    s3(cloud, "RestoreObject", key="big", restore_request={"Days": 2})
    assert s3(cloud, "GetObject", key="big")["Restore"].startswith('ongoing-request="false"')
    clock.advance(3 * DAY)
    assert refused(cloud, "GetObject", key="big") == "InvalidObjectState"


def test_rules_filter_by_tags_and_size(cloud: InProcessCloud, clock: FixedClock) -> None:
    put(cloud, "a", b"x" * 10, tagging="go=yes")
    put(cloud, "b", b"x" * 10)
    put(cloud, "c", b"x" * 99, tagging="go=yes")
    wanted = {"And": {"Tags": [{"Key": "go", "Value": "yes"}], "ObjectSizeLessThan": 50}}
    lifecycle(cloud, {"ID": "r", "Filter": wanted, "Expiration": {"Days": 1}})
    clock.advance(2 * DAY)
    carried_out(cloud)
    assert [item["Key"] for item in s3(cloud, "ListObjectsV2")["Contents"]] == ["b", "c"]


def test_a_locked_version_outlives_its_rules(locked: InProcessCloud, clock: FixedClock) -> None:
    put(locked, "k", bucket="safe", object_lock_legal_hold_status="ON")
    put(locked, "k", bucket="safe")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}
    locked.api("s3", "PutBucketLifecycleConfiguration", bucket="safe", lifecycle_configuration={"Rules": [rule]})
    clock.advance(9 * DAY)
    home = locked.read(lambda ctx: ctx.tx.get(Bucket, "safe"))
    assert home is not None
    locked.write(lambda ctx: look(ctx, "safe", home.lifecycle_run, "noncurrent", ""))
    assert len(locked.api("s3", "ListObjectVersions", bucket="safe")["Versions"]) == 2


def test_the_run_carries_rules_out_by_itself_and_ends_with_them(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path, clock=SystemClock(1e9)) as cloud:
        cloud.api("s3", "CreateBucket", bucket="box")
        put(cloud, "k")
        lifecycle(cloud, {"ID": "r", "Expiration": {"Days": 1}})
        until(lambda: s3(cloud, "ListObjectsV2")["KeyCount"] == 0, what="the object has expired")
        s3(cloud, "DeleteBucketLifecycle")
        ended = "SELECT count(*) FROM run WHERE kind='s3.lifecycle' AND state IN ('ready', 'parked')"
        until(lambda: cloud.read(lambda ctx: ctx.tx.connection.execute(ended).fetchone()[0]) == 0, what="the run has ended")
        assert refused(cloud, "GetBucketLifecycleConfiguration") == "NoSuchLifecycleConfiguration"


@pytest.mark.parametrize(
    "rule, code",
    [
        pytest.param({}, "InvalidRequest", id="no action"),
        pytest.param({"Expiration": {"Days": 0}}, "InvalidArgument", id="no days"),
        pytest.param({"Expiration": {"Days": 1, "Date": 0}}, "MalformedXML", id="days and a date"),
        pytest.param({"Expiration": {"Date": 12345}}, "InvalidArgument", id="no midnight"),
        pytest.param({"Transitions": [{"Days": 3, "StorageClass": "STANDARD_IA"}]}, "InvalidArgument", id="too early for IA"),
        pytest.param(
            {"Expiration": {"Days": 30}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
            "InvalidArgument",
            id="gone before moved",
        ),
        pytest.param({"Prefix": "a", "Expiration": {"Days": 1}}, "MalformedXML", id="prefix and filter"),
        pytest.param(
            {"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
            "InvalidRequest",
            id="uploads have no tags",
        ),
    ],
)
def test_bad_rules_are_refused(cloud: InProcessCloud, rule: dict[str, Any], code: str) -> None:
    with contextlib.suppress(AwsError):
        lifecycle(cloud, rule)
    configuration = {"Rules": [{"Status": "Enabled", "Filter": {}, **rule}]}
    assert refused(cloud, "PutBucketLifecycleConfiguration", lifecycle_configuration=configuration) == code
    assert refused(cloud, "GetBucketLifecycleConfiguration") == "NoSuchLifecycleConfiguration"


# -- who pays, and what is only kept ------------------------------------------------------------------------------------


def test_requesters_pay_when_they_say_so(cloud: InProcessCloud) -> None:
    put(cloud, "k")
    s3(cloud, "PutBucketPolicy", policy=POLICY)
    assert s3(cloud, "GetObject", key="k", principal=STRANGER)["ContentLength"] == 1
    s3(cloud, "PutBucketRequestPayment", request_payment_configuration={"Payer": "Requester"})
    assert refused(cloud, "GetObject", key="k", principal=STRANGER) == "AccessDenied"
    assert s3(cloud, "GetObject", key="k", principal=STRANGER, request_payer="requester")["ContentLength"] == 1
    assert s3(cloud, "GetObject", key="k")["ContentLength"] == 1


POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"s3:GetObject",'
    '"Resource":"arn:aws:s3:::box/*"}]}'
)


@pytest.mark.parametrize("kind", ["Inventory", "Metrics", "Analytics", "IntelligentTiering"])
def test_configurations_by_id(cloud: InProcessCloud, kind: str) -> None:
    from windtunnel.wire.naming import xform

    argument, member = xform(f"{kind}Configuration"), f"{kind}Configuration"
    for number in range(103):
        s3(cloud, f"PutBucket{member}", id=f"{number:03d}", **{argument: {"Id": f"{number:03d}"}})
    assert s3(cloud, f"GetBucket{member}", id="007") == {member: {"Id": "007"}}
    page = s3(cloud, f"ListBucket{member}s")
    assert (len(page[f"{member}List"]), page["IsTruncated"]) == (100, True)
    rest = s3(cloud, f"ListBucket{member}s", continuation_token=page["NextContinuationToken"])
    assert [item["Id"] for item in rest[f"{member}List"]] == ["100", "101", "102"]
    s3(cloud, f"DeleteBucket{member}", id="007")
    assert refused(cloud, f"GetBucket{member}", id="007") == "NoSuchConfiguration"
    assert refused(cloud, f"PutBucket{member}", id="a", **{argument: {"Id": "b"}}) == "MalformedXML"


def test_a_bucket_takes_its_settings_with_it(cloud: InProcessCloud) -> None:
    rules = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
    s3(cloud, "PutBucketCors", cors_configuration={"CORSRules": rules})
    lifecycle(cloud, {"ID": "r", "Expiration": {"Days": 1}})
    s3(cloud, "DeleteBucket")
    s3(cloud, "CreateBucket")
    assert refused(cloud, "GetBucketCors") == "NoSuchCORSConfiguration"
    assert refused(cloud, "GetBucketLifecycleConfiguration") == "NoSuchLifecycleConfiguration"


def test_an_accounts_block_holds_for_all_its_buckets(cloud: InProcessCloud) -> None:
    opened(cloud)
    put(cloud, "open", acl="public-read")
    every = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    cloud.api("s3control", "PutPublicAccessBlock", account_id=ACCOUNT, public_access_block_configuration=every)
    assert cloud.api("s3control", "GetPublicAccessBlock", account_id=ACCOUNT) == {"PublicAccessBlockConfiguration": every}
    assert refused(cloud, "GetObject", key="open", principal=NOBODY) == "AccessDenied"
    assert refused(cloud, "PutObject", key="k", body=b"", acl="public-read") == "AccessDenied"
    public = POLICY.replace('{"AWS":"210987654321"}', '"*"')
    assert refused(cloud, "PutBucketPolicy", policy=public) == "AccessDenied"
    cloud.api("s3control", "DeletePublicAccessBlock", account_id=ACCOUNT)
    assert s3(cloud, "GetObject", key="open", principal=NOBODY)["ContentLength"] == 1
    with pytest.raises(AwsError, match="NoSuchPublicAccessBlockConfiguration"):
        cloud.api("s3control", "GetPublicAccessBlock", account_id=ACCOUNT)
