"""What the generated contract tests need to know of `s3`."""

from __future__ import annotations

from typing import Any

NAMES: dict[str, Any] = {
    "versionid": "null",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("CreateBucket", {"bucket": "bucket"}),
    ("PutObject", {"bucket": "bucket", "key": "key", "body": b"content"}),
]
ACTIONS: dict[str, list[str]] = {
    "CompleteMultipartUpload": ["s3:PutObject"],
    "CopyObject": ["s3:GetObject", "s3:PutObject"],
    "CreateMultipartUpload": ["s3:PutObject"],
    "DeleteBucketEncryption": ["s3:PutEncryptionConfiguration"],
    "DeleteBucketOwnershipControls": ["s3:PutBucketOwnershipControls"],
    "DeleteBucketTagging": ["s3:PutBucketTagging"],
    "DeletePublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
    "GetBucketAccelerateConfiguration": ["s3:GetAccelerateConfiguration"],
    "GetBucketCors": ["s3:GetBucketCORS"],
    "GetBucketEncryption": ["s3:GetEncryptionConfiguration"],
    "GetBucketLifecycleConfiguration": ["s3:GetLifecycleConfiguration"],
    "GetBucketNotificationConfiguration": ["s3:GetBucketNotification"],
    "GetBucketReplication": ["s3:GetReplicationConfiguration"],
    "GetObjectAttributes": ["s3:GetObject", "s3:GetObjectAttributes"],
    "GetObjectLockConfiguration": ["s3:GetBucketObjectLockConfiguration"],
    "GetPublicAccessBlock": ["s3:GetBucketPublicAccessBlock"],
    "HeadBucket": ["s3:ListBucket"],
    "HeadObject": ["s3:GetObject"],
    "ListBuckets": ["s3:ListAllMyBuckets"],
    "ListMultipartUploads": ["s3:ListBucketMultipartUploads"],
    "ListObjectVersions": ["s3:ListBucketVersions"],
    "ListObjects": ["s3:ListBucket"],
    "ListObjectsV2": ["s3:ListBucket"],
    "ListParts": ["s3:ListMultipartUploadParts"],
    "PutBucketEncryption": ["s3:PutEncryptionConfiguration"],
    "PutBucketNotificationConfiguration": ["s3:PutBucketNotification"],
    "PutPublicAccessBlock": ["s3:PutBucketPublicAccessBlock"],
    "UploadPart": ["s3:PutObject"],
    "UploadPartCopy": ["s3:GetObject", "s3:PutObject"],
}
BY_ITEM = {"DeleteObjects"}
ERRORS = {
    "AccessControlListNotSupported",
    "AuthorizationHeaderMalformed",
    "BadDigest",
    "BadRequest",
    "EntityTooLarge",
    "EntityTooSmall",
    "IllegalLocationConstraintException",
    "IllegalVersioningConfigurationException",
    "IncompleteBody",
    "InvalidArgument",
    "InvalidBucketAclWithBlockPublicAccessError",
    "InvalidBucketName",
    "InvalidDigest",
    "InvalidLocationConstraint",
    "InvalidPart",
    "InvalidPartNumber",
    "InvalidPartOrder",
    "InvalidPolicyDocument",
    "InvalidRequest",
    "InvalidTag",
    "InvalidTargetBucketForLogging",
    "InvalidToken",
    "KeyTooLongError",
    "MalformedACLError",
    "MalformedPolicy",
    "MalformedXML",
    "MetadataTooLarge",
    "MissingSecurityHeader",
    "PolicyTooLarge",
    "TooManyBuckets",
    "XAmzContentSHA256Mismatch",
}
