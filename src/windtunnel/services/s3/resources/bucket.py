"""AWS::S3::Bucket."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import not_built
from windtunnel.provision.handling import Direct, already_exists, attempt, changed, listed, shown_tags, with_stack_tags, without_none
from windtunnel.provision.registry import Created, Failed, Name, Properties, Resource, Wanted, resource_type
from windtunnel.services.s3.buckets import ENFORCED, Bucket
from windtunnel.services.s3.resources.parts import PARTS, REPORTS, s3

MISSING = frozenset({"NoSuchBucket"})
_ACLS = {
    "Private": "private",
    "PublicRead": "public-read",
    "PublicReadWrite": "public-read-write",
    "AuthenticatedRead": "authenticated-read",
    "LogDeliveryWrite": "log-delivery-write",
    "BucketOwnerRead": "private",  # these two say something of an object; of a bucket S3 ignores them (User Guide, Canned ACL)
    "BucketOwnerFullControl": "private",
    "AwsExecRead": "aws-exec-read",
}


def _acl(props: Properties) -> str | None:
    """The canned ACL in S3's words."""
    acl = props.get("AccessControl")
    return _ACLS.get(acl, acl) if acl else None


def _ownership(props: Properties) -> str | None:
    rules = (props.get("OwnershipControls") or {}).get("Rules") or []
    return rules[0].get("ObjectOwnership") if len(rules) == 1 else None


def _attributes(ctx: Context, bucket: str) -> dict[str, Any]:
    region = ctx.scope.region
    endpoint = urlsplit(ctx.cloud.endpoint)
    port = f":{endpoint.port}" if endpoint.port else ""
    return {
        "Arn": f"arn:aws:s3:::{bucket}",
        "DomainName": f"{bucket}.s3.amazonaws.com",
        "DualStackDomainName": f"{bucket}.s3.dualstack.{region}.amazonaws.com",
        "RegionalDomainName": f"{bucket}.s3.{region}.amazonaws.com",
        # Where the page is really served: a name that resolves on this machine (see known differences).
        "WebsiteURL": f"http://{bucket}.s3-website-{region}.localhost{port}",
    }


@resource_type("AWS::S3::Bucket")
class BucketType(Direct):
    service = "s3"
    calls = " ".join(
        ("CreateBucket DeleteBucket PutBucketAcl PutBucketTagging DeleteBucketTagging", *(part.calls() for part in (*PARTS, *REPORTS)))
    )
    name = Name("BucketName", 63, lower=True)
    missing = MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        bucket = wanted.name
        if "BucketNamePrefix" in props:
            raise not_built("s3", "CreateBucket", "BucketNamePrefix")
        self._refuse_taken(ctx, bucket)
        region = ctx.scope.region
        acl, ownership = _acl(props), _ownership(props)
        # An ACL that a bucket cannot have is refused in CreateBucket's words; one that it can have waits for the access block.
        early = acl if ownership in (None, ENFORCED) else None
        s3(
            ctx,
            "CreateBucket",
            Bucket=bucket,
            CreateBucketConfiguration={"LocationConstraint": region} if region != "us-east-1" else None,
            ObjectOwnership=ownership,
            ObjectLockEnabledForBucket=props.get("ObjectLockEnabled"),
            BucketNamespace=props.get("BucketNamespace"),
            ACL=early,
        )
        tags = with_stack_tags(props.get("Tags"), wanted)
        if tags:
            s3(ctx, "PutBucketTagging", Bucket=bucket, Tagging={"TagSet": tags})
        done = {
            "AccessControl": props["AccessControl"] if early else None,
            "OwnershipControls": props.get("OwnershipControls") if ownership else None,
        }
        self._bring(ctx, bucket, without_none(done), props)
        return Created(id=bucket, attributes=_attributes(ctx, bucket))

    def _refuse_taken(self, ctx: Context, bucket: str) -> None:
        """In us-east-1 CreateBucket gives one's own bucket again: a stack must not take it over."""
        existing = ctx.tx.get(Bucket, bucket)
        if existing is not None and existing.account == ctx.scope.account:
            raise already_exists(self.type, bucket)

    def _bring(self, ctx: Context, bucket: str, old: Properties, new: Properties) -> None:
        opens = _acl(new) not in (None, "private")
        if not opens:
            self._bring_acl(ctx, bucket, old, new)
        for part in PARTS[:2]:  # who may be given access at all, before what gives it
            part.bring(ctx, bucket, old, new)
        if opens:
            self._bring_acl(ctx, bucket, old, new)
        for part in PARTS[2:]:
            part.bring(ctx, bucket, old, new)
        for reports in REPORTS:
            reports.bring(ctx, bucket, old, new)

    def _bring_acl(self, ctx: Context, bucket: str, old: Properties, new: Properties) -> None:
        acl = _acl(new) or "private"
        if acl != (_acl(old) or "private"):
            s3(ctx, "PutBucketAcl", Bucket=bucket, ACL=acl)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        bucket, given = resource.id, resource.properties
        if attempt(ctx, ("NoSuchBucket", "404", "NotFound"), "s3", "HeadBucket", Bucket=bucket) is None:
            return None
        tags = attempt(ctx, ("NoSuchTagSet",), "s3", "GetBucketTagging", Bucket=bucket) or {}
        parts = {part.property: part.read(ctx, bucket, given.get(part.property)) for part in (*PARTS, *REPORTS)}
        return without_none(
            {
                "BucketName": bucket,
                **parts,
                "ObjectLockEnabled": True if parts["ObjectLockConfiguration"] else None,
                "Tags": shown_tags(tags.get("TagSet")),
                **_attributes(ctx, bucket),
            }
        )

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        bucket, old = resource.id, resource.properties
        if changed(old, new, "Tags"):
            tags = with_stack_tags(new.get("Tags"), wanted)
            if tags:
                s3(ctx, "PutBucketTagging", Bucket=bucket, Tagging={"TagSet": tags})
            else:
                s3(ctx, "DeleteBucketTagging", Bucket=bucket)
        if old.get("ObjectLockEnabled") and not new.get("ObjectLockEnabled"):
            raise Failed("Object Lock cannot be disabled once it is enabled on a bucket.", "NotUpdatable")
        if changed(old, new, "ObjectLockEnabled") and not new.get("ObjectLockConfiguration"):
            s3(ctx, "PutObjectLockConfiguration", Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
        self._bring(ctx, bucket, old, new)
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        s3(ctx, "DeleteBucket", Bucket=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        token = ("ContinuationToken", "ContinuationToken")
        return (found["Name"] for found in listed(ctx, "s3", "ListBuckets", "Buckets", token, BucketRegion=ctx.scope.region))
