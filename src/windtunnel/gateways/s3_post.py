"""An upload form on its way into a bucket: who signed it, what it may do, and the object that it becomes.

Invariant: the file goes to disk as it comes, and becomes an object only after signature, policy and permissions have held, by S3's own PutObject.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from windtunnel.gateways.s3_forms import FormReader, Policy, checked_policy
from windtunnel.kernel.cloud import Body
from windtunnel.kernel.context import Context, RequestInfo
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.principal import Credential, Principal
from windtunnel.kernel.scope import Scope as Where
from windtunnel.wire.autherrors import refused
from windtunnel.wire.canonical import signing_key
from windtunnel.wire.protocols.xmltext import escape
from windtunnel.wire.sigv4 import check_session

Receive = Callable[[], Awaitable[dict[str, Any]]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
FLUSH = 1 << 20
IDLE_SECONDS = 60.0
_MEMBERS = {
    "acl": "acl",
    "cache-control": "cache_control",
    "content-type": "content_type",
    "content-disposition": "content_disposition",
    "content-encoding": "content_encoding",
    "expires": "expires",
    "x-amz-storage-class": "storage_class",
    "x-amz-website-redirect-location": "website_redirect_location",
    "x-amz-server-side-encryption": "server_side_encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "ssekms_key_id",
    "x-amz-server-side-encryption-context": "ssekms_encryption_context",
    "x-amz-server-side-encryption-customer-algorithm": "sse_customer_algorithm",
    "x-amz-server-side-encryption-customer-key": "sse_customer_key",
    "x-amz-server-side-encryption-customer-key-md5": "sse_customer_key_md5",
}
"""Form field -> PutObject's argument."""


class FormUpload:
    def __init__(self, cloud: Any, backend: Any, bucket: str, content_type: str, info: RequestInfo, *, foreign: bool = False) -> None:
        """foreign: a page of another origin sends it, which may not do so as nobody."""
        self._foreign = foreign
        self._cloud = cloud
        self._backend = backend
        self._bucket = bucket
        self._info = info
        self._reader = FormReader(content_type)
        self._writer = cloud.blobs.writer()
        self._size = 0
        self._finished = False
        self._policy = Policy(None, None)
        self._principal = Principal.anonymous()
        self._region = backend.region

    async def take(self, receive: Receive) -> None:
        """The whole body. The signature and the policy are proven before any of the file is kept."""
        proven, pending, more = False, b"", True
        while more:
            message = await asyncio.wait_for(receive(), IDLE_SECONDS)
            if message["type"] == "http.disconnect":
                raise AwsError("RequestTimeout", "The connection ended before the body did.", status=400)
            more = bool(message.get("more_body"))
            pending += self._reader.feed(message.get("body", b""))
            if self._reader.in_file and not proven:
                self._prove()
                proven = True
            if len(pending) >= FLUSH or not more:
                await self._keep(pending)
                pending = b""
        self._reader.finish()
        if self._policy.shortest is not None and self._size < self._policy.shortest:
            sizes = {"ProposedSize": str(self._size), "MinSizeAllowed": str(self._policy.shortest)}
            raise AwsError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size", extra=sizes)

    async def _keep(self, data: bytes) -> None:
        self._size += len(data)
        longest = self._policy.longest
        if longest is not None and self._size > longest:
            sizes = {"ProposedSize": str(self._size), "MaxSizeAllowed": str(longest)}
            raise AwsError("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", extra=sizes)
        await asyncio.get_running_loop().run_in_executor(None, self._writer.write, data)

    def _prove(self) -> None:
        fields = self._reader.fields
        if not fields.get("key"):
            raise AwsError(
                "InvalidArgument", "Bucket POST must contain a field named 'key'.", extra={"ArgumentName": "key", "ArgumentValue": ""}
            )
        policy = fields.get("policy")
        if policy is None:
            if any(name in fields for name in ("x-amz-signature", "signature", "x-amz-credential", "awsaccesskeyid")):
                raise AwsError("InvalidArgument", "Bucket POST must contain a field named 'policy'.")
            if self._foreign:
                raise AwsError("AccessDenied", "A form of another origin needs a policy and its signature.", status=403)
            return
        self._principal = self._signer(fields, policy)
        self._policy = checked_policy(policy, fields, self._bucket, self._cloud.clock.now())

    def _signer(self, fields: dict[str, str], policy: str) -> Principal:
        if "x-amz-signature" in fields:
            return self._version_4(fields, policy)
        if "signature" in fields and "awsaccesskeyid" in fields:
            credential = self._credential(fields["awsaccesskeyid"], fields)
            right = base64.b64encode(hmac.digest(credential.secret.encode(), policy.encode(), "sha1")).decode()
            if not hmac.compare_digest(right.encode(), fields["signature"].encode()):
                raise refused("s3", "mismatch")
            return credential.principal
        raise AwsError(
            "InvalidArgument",
            "Bucket POST must contain a field named 'AWSAccessKeyId'.  If it is specified, please check the order of the fields.",
        )

    def _version_4(self, fields: dict[str, str], policy: str) -> Principal:
        scope = fields.get("x-amz-credential", "").split("/")
        if fields.get("x-amz-algorithm") != "AWS4-HMAC-SHA256" or len(scope) != 5 or scope[3:] != ["s3", "aws4_request"]:
            raise AwsError("InvalidArgument", "The form's X-Amz-Algorithm or X-Amz-Credential is not of signature version 4 for s3.")
        access_key, date, region = scope[:3]
        if not fields.get("x-amz-date", "").startswith(date):
            raise AwsError("InvalidArgument", "X-Amz-Date must be formatted via ISO8601 Long format, and of the credential's date")
        credential = self._credential(access_key, fields)
        right = hmac.digest(signing_key(credential.secret, date, region, "s3"), policy.encode(), "sha256").hex()
        if not hmac.compare_digest(right.encode(), fields["x-amz-signature"].encode()):
            raise refused("s3", "mismatch")
        self._region = region
        return credential.principal

    def _credential(self, access_key: str, fields: dict[str, str]) -> Credential:
        with self._backend.snapshot("", "") as tx:
            credential: Credential | None = self._cloud.identity.credential(tx, access_key)
        if credential is None:
            raise refused("s3", "unknown-key")
        check_session(credential, fields.get("x-amz-security-token", ""), self._cloud.clock.now(), "s3")
        return credential

    async def store(self) -> Answer:
        """PutObject as who signed the form, or as nobody; the answer that the form asked for."""
        ref = await asyncio.get_running_loop().run_in_executor(None, self._writer.finish)
        self._finished = True
        fields = self._reader.fields
        key = fields["key"].replace("${filename}", self._reader.filename)
        args: dict[str, Any] = {argument: fields[name] for name, argument in _MEMBERS.items() if fields.get(name)}
        metadata = {name.removeprefix("x-amz-meta-"): value for name, value in fields.items() if name.startswith("x-amz-meta-")}
        if metadata:
            args["metadata"] = metadata
        if fields.get("tagging"):
            args["tagging"] = _tags(fields["tagging"])
        where = Where(self._principal.account or self._backend.account, self._region)

        def put(tx: Any) -> dict[str, Any]:
            ctx = Context(tx.within(where.account, where.region), where, self._principal, self._cloud, request=self._info)
            ctx.found["s3.reason"] = "POST Object"
            return ctx.call("s3", "PutObject", bucket=self._bucket, key=key, body=Body(ref), **args)

        reply = await self._backend.submit(put)
        return self._answer(fields, key, reply)

    def _answer(self, fields: dict[str, str], key: str, reply: dict[str, Any]) -> Answer:
        location = f"{self._cloud.endpoint}/{self._bucket}/{quote(key)}"
        headers = [(b"etag", reply["ETag"].encode()), (b"location", location.encode())]
        if "VersionId" in reply:
            headers.append((b"x-amz-version-id", reply["VersionId"].encode()))
        redirect = fields.get("success_action_redirect") or fields.get("redirect")
        if redirect and redirect.startswith(("http://", "https://")) and not any(mark in redirect for mark in "\r\n"):
            query = urlencode({"bucket": self._bucket, "key": key, "etag": reply["ETag"]})
            target = f"{redirect}{'&' if '?' in redirect else '?'}{query}"
            return 303, [headers[0], (b"location", quote(target, safe="/:?#[]@!$&'()*+,;=%~").encode()), *headers[2:]], b""
        status = fields.get("success_action_status")
        if status == "201":
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>'
                f"<Location>{escape(location)}</Location><Bucket>{escape(self._bucket)}</Bucket><Key>{escape(key)}</Key>"
                f"<ETag>{escape(reply['ETag'])}</ETag></PostResponse>"
            )
            return 201, [*headers, (b"content-type", b"application/xml")], body.encode()
        return 200 if status == "200" else 204, headers, b""

    async def discard(self) -> None:
        if not self._finished:
            await asyncio.get_running_loop().run_in_executor(None, self._writer.discard)


def _tags(document: str) -> str:
    """The form's XML tag set as the header that PutObject takes."""
    from xml.etree import ElementTree

    if "<!" in document:
        raise AwsError("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError:
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        ) from None
    pairs = [(tag.findtext("{*}Key") or "", tag.findtext("{*}Value") or "") for tag in root.iter() if tag.tag.rpartition("}")[2] == "Tag"]
    return urlencode(pairs, quote_via=quote)
