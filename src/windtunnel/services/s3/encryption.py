"""Encryption at rest: which one an object gets, and the wrapping of what is stored under it.

Every body is encrypted once, when it arrives (store/blobs.py): a file under a data key of its own that is sealed under the cloud's root
key, inline bytes under the root key itself. That is SSE-S3. For SSE-KMS and SSE-C an object has a data key in addition, which KMS, or the
customer's key, wraps; what was sealed (the file's data key, or the inline bytes) is encrypted once more under it. So copying from one
encryption to another re-wraps keys and reads no byte.
Invariant: what is stored of an object with such a data key cannot be opened without KMS's consent, or the customer's key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from windtunnel.kernel.cloud import BlobRange, BlobRef, DamagedBlob
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.typed import from_json
from windtunnel.services.s3.buckets import Bucket
from windtunnel.services.s3.objects import Encryption

S3, KMS, CUSTOMER = "AES256", "aws:kms", "customer"
MANAGED = "alias/aws/s3"
SSE_MEMBERS = (
    "ServerSideEncryption SSEKMSKeyId SSEKMSEncryptionContext BucketKeyEnabled SSECustomerAlgorithm SSECustomerKey SSECustomerKeyMD5"
)
CUSTOMER_MEMBERS = "SSECustomerAlgorithm SSECustomerKey SSECustomerKeyMD5"
_NONCE = 12


class Keyed(NamedTuple):
    """An encryption with its data key at hand; both None for SSE-S3."""

    encryption: Encryption | None
    data_key: bytes | None


PLAIN = Keyed(None, None)


class CustomerKey(NamedTuple):
    key: bytes
    md5: str


def customer_key(args: Mapping[str, Any], prefix: str = "") -> CustomerKey | None:
    """From the three x-amz-server-side-encryption-customer-… headers. prefix: `copy_source_`."""
    algorithm, key, md5 = (args.get(f"{prefix}sse_customer_{name}") for name in ("algorithm", "key", "key_md5"))
    if algorithm is None and key is None and md5 is None:
        return None
    if algorithm is None or key is None or md5 is None:
        what = (
            "an appropriate secret key"
            if key is None
            else "a valid encryption algorithm"
            if algorithm is None
            else "the client calculated MD5 hash of the secret key"
        )
        raise AwsError("InvalidArgument", f"Requests specifying Server Side Encryption with Customer provided keys must provide {what}.")
    if algorithm != "AES256":
        raise AwsError(
            "InvalidEncryptionAlgorithmError",
            "The encryption request you specified is not valid. The valid value is AES256.",
            extra={"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": algorithm},
        )
    try:
        raw = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise AwsError("InvalidArgument", "The secret key was invalid for the specified algorithm.")
    if base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode() != md5:
        raise AwsError("InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.")
    return CustomerKey(raw, md5)


def for_new(ctx: Context, bucket: Bucket, key: str, args: Mapping[str, Any], operation: str) -> Keyed:
    """The encryption of a new object from its request and the bucket's default, with a fresh data key. KMS's refusals pass as S3 shows them."""
    asked, customer = args.get("server_side_encryption"), customer_key(args)
    if customer is not None:
        if asked is not None:
            raise AwsError(
                "InvalidArgument", "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
            )
        if bucket.blocks_customer_keys:
            raise AwsError(
                "AccessDenied", "The bucket blocks uploads that use server-side encryption with customer provided keys (SSE-C).", status=403
            )
        data_key = secrets.token_bytes(32)
        return Keyed(Encryption(CUSTOMER, customer.md5, _encrypt(customer.key, data_key)), data_key)
    kms_key = args.get("ssekms_key_id")
    if asked is None and kms_key is None and args.get("ssekms_encryption_context") is None:
        if bucket.sse_algorithm == S3:
            return PLAIN
        return _with_kms(ctx, bucket, key, bucket.sse_key, {}, _or(args.get("bucket_key_enabled"), bucket.bucket_key))
    if asked is not None and asked not in (S3, KMS):
        if asked in ("aws:kms:dsse", "aws:fsx"):
            raise not_built("s3", operation, f"ServerSideEncryption {asked}")
        raise AwsError(
            "InvalidEncryptionAlgorithmError",
            "The encryption request you specified is not valid. The valid value is AES256 or aws:kms.",
            extra={"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": asked},
        )
    if asked != KMS:
        if kms_key is not None or args.get("ssekms_encryption_context") is not None:
            raise AwsError(
                "InvalidArgument",
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
                extra={"ArgumentName": "x-amz-server-side-encryption", "ArgumentValue": asked or "null"},
            )
        return PLAIN
    default = bucket.sse_key if bucket.sse_algorithm == KMS else ""
    bucket_key = _or(args.get("bucket_key_enabled"), bucket.bucket_key if bucket.sse_algorithm == KMS else False)
    return _with_kms(ctx, bucket, key, kms_key or default, _context(args.get("ssekms_encryption_context")), bucket_key)


def _or(said: bool | None, default: bool) -> bool:
    return default if said is None else bool(said)


def _context(encoded: str | None) -> dict[str, str]:
    """x-amz-server-side-encryption-context: base64 of a JSON object of strings."""
    if encoded is None:
        return {}
    try:
        return from_json(base64.b64decode(encoded, validate=True), dict[str, str])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise AwsError(
            "InvalidArgument",
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map",
            extra={"ArgumentName": "x-amz-server-side-encryption-context", "ArgumentValue": encoded},
        ) from None


def _with_kms(ctx: Context, bucket: Bucket, key: str, key_id: str, context: dict[str, str], bucket_key: bool) -> Keyed:
    arn = bucket.arn if bucket_key else f"{bucket.arn}/{key}"
    if context.get("aws:s3:arn", arn) != arn:
        raise AwsError("InvalidArgument", "The encryption context's aws:s3:arn is not the object's.")
    full = {**context, "aws:s3:arn": arn}
    made = _kms(ctx, bucket.region, "GenerateDataKey", key_id=key_id or MANAGED, key_spec="AES_256", encryption_context=full)
    added = {name: value for name, value in context.items() if name != "aws:s3:arn"}
    return Keyed(Encryption(KMS, made["KeyId"], made["CiphertextBlob"], arn, added, bucket_key), made["Plaintext"])


def for_old(ctx: Context, region: str, encryption: Encryption | None, customer: CustomerKey | None, *, writing: bool = False) -> Keyed:
    """The data key of what is stored: by KMS, in the caller's name, or with the customer's key.

    writing: of an upload whose parts must come with its key, in whose case the words differ.
    """
    if encryption is None or encryption.kind == KMS:
        if customer is not None:
            raise AwsError("InvalidRequest", "The encryption parameters are not applicable to this object.")
        if encryption is None:
            return PLAIN
        opened = _kms(
            ctx, region, "Decrypt", key_id=encryption.key, ciphertext_blob=encryption.wrapped, encryption_context=encryption.kms_context
        )
        return Keyed(encryption, opened["Plaintext"])
    if customer is None:
        if writing:
            raise AwsError(
                "InvalidRequest",
                "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters.",
            )
        raise AwsError(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.",
        )
    try:
        return Keyed(encryption, _decrypt(customer.key, encryption.wrapped))
    except DamagedBlob:
        if writing:
            raise AwsError("InvalidRequest", "The provided encryption parameters did not match the ones used originally.") from None
        raise AwsError("AccessDenied", "Access Denied", status=403) from None


def _kms(ctx: Context, region: str, operation: str, **args: Any) -> dict[str, Any]:
    """KMS in the caller's name; what it refuses, under the names that S3 has for it."""
    at_home = ctx if region == ctx.scope.region else ctx.in_scope(ctx.scope.account, region)
    try:
        return at_home.on_behalf("s3").call("kms", operation, **args)
    except AwsError as error:
        if error.code in ("AccessDenied", "AccessDeniedException"):
            raise AwsError("AccessDenied", error.message, status=403) from None
        if error.code == "NotImplemented":
            raise
        shown = f"KMS.{error.code}"
        raise AwsError(shown, error.message, status=400) from None


# -- what is stored ---------------------------------------------------------------------------------------------------


def kept(ctx: Context, ref: BlobRef, data_key: bytes | None) -> BlobRef:
    """A staged blob as an object's record keeps it."""
    return wrapped(ctx.cloud.blobs.sealed(ref), data_key)


def wrapped(ref: BlobRef, data_key: bytes | None) -> BlobRef:
    """A sealed blob under an object's data key."""
    if data_key is None:
        return ref
    if ref.inline is not None:
        return BlobRef(ref.sha256, ref.size, "", _encrypt(data_key, ref.inline), ref.key)
    if not ref.key:
        raise not_built("s3", "CopyObject", "a KMS or customer key for an object that was stored before encryption at rest")
    return BlobRef(ref.sha256, ref.size, "", None, _encrypt(data_key, ref.key))


def unwrapped(ref: BlobRef, data_key: bytes | None) -> BlobRef:
    if data_key is None or not ref.key:
        return ref
    if ref.inline is not None:
        return BlobRef(ref.sha256, ref.size, ref.md5, _decrypt(data_key, ref.inline), ref.key)
    return BlobRef(ref.sha256, ref.size, ref.md5, None, _decrypt(data_key, ref.key))


def readable(ctx: Context, content: Sequence[BlobRange], data_key: bytes | None) -> list[BlobRange]:
    """Ranges of an object as the rest of the cloud can read them: inline bytes as they are, files under keys that the blobs' store opens."""
    blobs = ctx.cloud.blobs
    return [BlobRange(blobs.opened(unwrapped(piece.ref, data_key)), piece.offset, piece.length) for piece in content]


def rewrapped(ctx: Context, content: Sequence[BlobRange], old: bytes | None, new: bytes | None) -> list[BlobRange]:
    """Ranges of one object as those of another, under its encryption. What was plain inline is sealed at last."""
    sealed = ctx.cloud.blobs.sealed
    return [BlobRange(wrapped(sealed(unwrapped(piece.ref, old)), new), piece.offset, piece.length) for piece in content]


def _encrypt(key: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, data, None)


def _decrypt(key: bytes, data: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(data[:_NONCE], data[_NONCE:], None)
    except (InvalidTag, ValueError):
        raise DamagedBlob("an object's data key, or its bytes, were altered") from None


# -- what is said of it -----------------------------------------------------------------------------------------------


def told(encryption: Encryption | None) -> dict[str, Any]:
    """The answer's members."""
    if encryption is None:
        return {"ServerSideEncryption": S3}
    if encryption.kind == CUSTOMER:
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": encryption.key}
    said: dict[str, Any] = {"ServerSideEncryption": KMS, "SSEKMSKeyId": encryption.key}
    if encryption.bucket_key:
        said["BucketKeyEnabled"] = True
    return said


def etag_of(ref: BlobRef, encryption: Encryption | None) -> str:
    """The MD5 of the plaintext; of what is encrypted under KMS or a customer's key it is not, as on AWS."""
    if encryption is None:
        return ref.md5
    return hashlib.md5(ref.inline or ref.key, usedforsecurity=False).hexdigest()
