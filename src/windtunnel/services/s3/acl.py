"""Access control lists: from canned names, headers and documents to grants, and what they allow. Pure.

Source: User Guide, "Access control list (ACL) overview". A list is kept as its grants; None stands for the private one of every bucket and
object that was never given another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError

EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"
AUTHENTICATED = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"
_EXEC_READ = "6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c"
"""The canonical user that reads AMI bundles."""
PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE", "READ_ACP", "WRITE_ACP")
MAX_GRANTS = 100
GRANT_MEMBERS = "GrantFullControl GrantRead GrantReadACP GrantWriteACP"
_HEADERS = {
    "grant_full_control": "FULL_CONTROL",
    "grant_read": "READ",
    "grant_write": "WRITE",
    "grant_read_acp": "READ_ACP",
    "grant_write_acp": "WRITE_ACP",
}
_GRANTEE = re.compile(r'\s*(id|uri|emailAddress)\s*=\s*"?([^",]*)"?\s*(?:,|\Z)')
_ID = re.compile(r"[0-9a-f]{64}\Z")
OF_BUCKET = {
    "ListBucket": "READ",
    "ListBucketVersions": "READ",
    "ListBucketMultipartUploads": "READ",
    "PutObject": "WRITE",
    "GetBucketAcl": "READ_ACP",
    "PutBucketAcl": "WRITE_ACP",
}
"""Action -> the permission on a bucket that allows it."""
OF_OBJECT = {
    "GetObject": "READ",
    "GetObjectVersion": "READ",
    "GetObjectAcl": "READ_ACP",
    "GetObjectVersionAcl": "READ_ACP",
    "PutObjectAcl": "WRITE_ACP",
    "PutObjectVersionAcl": "WRITE_ACP",
}


class Grant(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an ACL. uri: of a group; id: a canonical user's. permission: one of PERMISSIONS."""

    permission: str
    id: str = ""
    uri: str = ""


def canonical_id(account: str) -> str:
    """S3's canonical user id, which here follows from the account."""
    return hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()


def asked(args: Mapping[str, Any], account: str, bucket_account: str, *, of_bucket: bool) -> list[Grant] | None:
    """The grants that a request asks for by a canned ACL or by headers; None when by neither. account: whose the thing will be."""
    name = args.get("acl")
    granted = {argument: args[argument] for argument in _HEADERS if args.get(argument)}
    if name is not None and granted:
        raise AwsError("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
    if name is not None:
        return _canned(name, account, bucket_account, of_bucket)
    if not granted:
        return None
    return _checked([grant for argument, text in granted.items() for grant in _from_header(_HEADERS[argument], text)])


def _canned(name: str, account: str, bucket_account: str, of_bucket: bool) -> list[Grant]:
    grants = [Grant("FULL_CONTROL", canonical_id(account))]
    more: dict[str, list[Grant]] = {
        "private": [],
        "public-read": [Grant("READ", uri=EVERYBODY)],
        "public-read-write": [Grant("READ", uri=EVERYBODY), Grant("WRITE", uri=EVERYBODY)],
        "authenticated-read": [Grant("READ", uri=AUTHENTICATED)],
        "aws-exec-read": [Grant("READ", _EXEC_READ)],
    }
    if of_bucket:
        more["log-delivery-write"] = [Grant("WRITE", uri=LOG_DELIVERY), Grant("READ_ACP", uri=LOG_DELIVERY)]
    else:
        foreign = account != bucket_account
        more["bucket-owner-read"] = [Grant("READ", canonical_id(bucket_account))] if foreign else []
        more["bucket-owner-full-control"] = [Grant("FULL_CONTROL", canonical_id(bucket_account))] if foreign else []
    if name not in more:
        raise AwsError("InvalidArgument", "The canned ACL is not valid.", extra={"ArgumentName": "x-amz-acl", "ArgumentValue": name})
    return grants + more[name]


def _from_header(permission: str, text: str) -> list[Grant]:
    """`id="…", uri="…"`."""
    found, at = [], 0
    while at < len(text):
        match = _GRANTEE.match(text, at)
        if match is None or match.end() == at:
            raise AwsError(
                "InvalidArgument", "Argument format not recognized", extra={"ArgumentName": "x-amz-grant", "ArgumentValue": text}
            )
        kind, value = match.groups()
        found.append(_grant(permission, value if kind == "id" else "", value if kind == "uri" else "", kind == "emailAddress"))
        at = match.end()
    return found


def _grant(permission: str, id: str, uri: str, by_email: bool) -> Grant:
    if by_email:
        raise AwsError("UnresolvableGrantByEmailAddress", "The email address you provided does not match any account on record.")
    if permission not in PERMISSIONS:
        raise AwsError("MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema")
    if uri and uri not in (EVERYBODY, AUTHENTICATED, LOG_DELIVERY):
        raise AwsError("InvalidArgument", "Invalid group uri", extra={"ArgumentName": "Group", "ArgumentValue": uri})
    if not uri and not _ID.match(id):
        raise AwsError("InvalidArgument", "Invalid id", extra={"ArgumentName": "CanonicalUser/ID", "ArgumentValue": id})
    return Grant(permission, id, uri)


def _checked(grants: list[Grant]) -> list[Grant]:
    if len(grants) > MAX_GRANTS:
        raise AwsError("MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema")
    return grants


def from_document(document: Mapping[str, Any], account: str) -> list[Grant]:
    """From an AccessControlPolicy. account: the owner, who may be named and not changed."""
    named = (document.get("Owner") or {}).get("ID")
    if named is None:
        raise AwsError("MalformedACLError", "The XML you provided was not well-formed or did not validate against our published schema")
    if named != canonical_id(account):
        raise AwsError("AccessDenied", "Access Denied", status=403)
    grants = []
    for item in document.get("Grants") or ():
        grantee = item.get("Grantee") or {}
        by_email = grantee.get("Type") == "AmazonCustomerByEmail"
        grants.append(_grant(item.get("Permission", ""), grantee.get("ID", ""), grantee.get("URI", ""), by_email))
    return _checked(grants)


def shown(grants: Sequence[Grant] | None, account: str) -> dict[str, Any]:
    """The answer of GetBucketAcl and GetObjectAcl."""
    owner = {"ID": canonical_id(account)}
    lines = [Grant("FULL_CONTROL", owner["ID"])] if grants is None else grants
    return {"Owner": owner, "Grants": [{"Grantee": _grantee(line), "Permission": line.permission} for line in lines]}


def _grantee(grant: Grant) -> dict[str, Any]:
    return {"Type": "Group", "URI": grant.uri} if grant.uri else {"Type": "CanonicalUser", "ID": grant.id}


def is_public(grants: Sequence[Grant] | None) -> bool:
    return any(grant.uri in (EVERYBODY, AUTHENTICATED) for grant in grants or ())


def is_private(grants: Sequence[Grant] | None, account: str) -> bool:
    """Whether nobody but the owner is granted anything."""
    return all(grant.id == canonical_id(account) for grant in grants or ())


def allows(grants: Sequence[Grant] | None, permission: str, account: str, *, public: bool) -> str | None:
    """To whom a list gives this permission: `*`, the caller's account, or nobody. account: empty for an anonymous caller.

    public: whether grants to everybody count (they do not under IgnorePublicAcls).
    """
    for grant in grants or ():
        if grant.permission not in (permission, "FULL_CONTROL"):
            continue
        if grant.uri == EVERYBODY and public:
            return "*"
        if account and ((grant.uri == AUTHENTICATED and public) or (grant.id and grant.id == canonical_id(account))):
            return account
    return None
