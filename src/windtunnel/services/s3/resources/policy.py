"""AWS::S3::BucketPolicy: there is one a bucket, so that its identifier is the bucket's name."""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.provision.handling import Direct, already_exists, attempt, listed, parsed, text
from windtunnel.provision.registry import Created, Properties, Resource, Wanted, resource_type
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.resources.parts import s3

_MISSING = frozenset({"NoSuchBucket", "NoSuchBucketPolicy"})


@resource_type("AWS::S3::BucketPolicy")
class BucketPolicyType(Direct):
    service = "s3"
    calls = "PutBucketPolicy DeleteBucketPolicy"
    missing = _MISSING

    def create(self, ctx: Context, props: Properties, wanted: Wanted) -> Created:
        bucket = props["Bucket"]
        existing = ctx.tx.get(Bucket, bucket)
        if existing is not None and existing.account == ctx.scope.account and existing.policy is not None:
            raise already_exists(self.type, bucket)
        s3(ctx, "PutBucketPolicy", Bucket=bucket, Policy=text(props["PolicyDocument"]))
        return Created(id=bucket)

    def read(self, ctx: Context, resource: Resource) -> Properties | None:
        found = attempt(ctx, _MISSING, "s3", "GetBucketPolicy", Bucket=resource.id)
        return None if found is None else {"Bucket": resource.id, "PolicyDocument": parsed(found["Policy"])}

    def update(self, ctx: Context, resource: Resource, new: Properties, wanted: Wanted) -> Created | None:
        s3(ctx, "PutBucketPolicy", Bucket=resource.id, Policy=text(new["PolicyDocument"]))
        return None

    def delete(self, ctx: Context, resource: Resource) -> bool | None:
        s3(ctx, "DeleteBucketPolicy", Bucket=resource.id)
        return None

    def list(self, ctx: Context) -> Iterable[str]:
        token = ("ContinuationToken", "ContinuationToken")
        for found in listed(ctx, "s3", "ListBuckets", "Buckets", token, BucketRegion=ctx.scope.region):
            if attempt(ctx, _MISSING, "s3", "GetBucketPolicy", Bucket=found["Name"]) is not None:
                yield found["Name"]
