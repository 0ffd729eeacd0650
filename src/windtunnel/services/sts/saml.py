"""SAML assertions: proven by the provider's metadata, and read for the role that they are for.

Invariant: every value comes from the element that was proven. Source: IAM User Guide, "Configure SAML assertions for the
authentication response"; SAML 2.0 core.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any, NamedTuple

from windtunnel.kernel.errors import AwsError
from windtunnel.services.sts.xmlsig import DS, Element, Unproven, proven, read

_PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
_ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
_METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
_ATTRIBUTE = "https://aws.amazon.com/SAML/Attributes/"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_NAME_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
_AUDIENCES = ("urn:amazon:webservices", "https://signin.aws.amazon.com/saml")
SKEW = 300


class Asserted(NamedTuple):
    """What a proven assertion says of its subject, for one role."""

    provider: str
    issuer: str
    subject: str
    subject_type: str
    audience: str
    qualifier: str
    session_name: str
    seconds: int | None
    tags: tuple[tuple[str, str], ...]
    transitive: tuple[str, ...]
    source_identity: str

    def keys(self) -> dict[str, Any]:
        return {
            "saml:aud": self.audience,
            "saml:iss": self.issuer,
            "saml:sub": self.subject,
            "saml:sub_type": self.subject_type,
            "saml:namequalifier": self.qualifier,
        }


def invalid(words: str) -> AwsError:
    return AwsError("InvalidIdentityToken", words)


def prove(coded: str, metadata: str, provider: str, role: str, now: float) -> Asserted:
    """The assertion in a base64 SAML response, if this provider signed it for this role and it holds now. Raises AwsError."""
    try:
        response = read(b64decode("".join(coded.split()), validate=True))
        described = read(metadata.encode())
        assertion = _assertion(response, _signing_keys(described))
        return _read(assertion, described.get("entityID") or "", provider, role, now)
    except (NotBase64, ValueError) as wrong:
        raise invalid(f"Invalid base64 SAMLResponse ({type(wrong).__name__})") from None
    except Unproven as wrong:
        raise invalid(f"Response signature invalid: {wrong}") from None


def _signing_keys(metadata: Element) -> list[Any]:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa

    keys = []
    for descriptor in metadata.one(_METADATA, "IDPSSODescriptor").elements(_METADATA, "KeyDescriptor"):
        if descriptor.get("use") in (None, "signing"):
            for each in descriptor.walk():
                if each.name() == (DS, "X509Certificate"):
                    key = x509.load_der_x509_certificate(b64decode("".join(each.text().split()))).public_key()
                    if isinstance(key, rsa.RSAPublicKey):
                        keys.append(key)
    return keys


def _assertion(response: Element, keys: list[Any]) -> Element:
    """The one assertion, from the response that was signed or signed itself."""
    if response.name() != (_PROTOCOL, "Response"):
        raise Unproven("no SAML response")
    if response.one(_PROTOCOL, "Status").one(_PROTOCOL, "StatusCode").get("Value") != _SUCCESS:
        raise AwsError("IDPRejectedClaim", "The identity provider reports that authentication failed.", status=403)
    if response.elements(DS, "Signature"):
        return proven(response, response, keys).one(_ASSERTION, "Assertion")
    assertion = response.one(_ASSERTION, "Assertion")
    if not assertion.elements(DS, "Signature"):
        raise Unproven("neither the response nor its assertion is signed")
    return proven(response, assertion, keys)


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Unproven("a time that is none") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _check_times(element: Element, now: float) -> None:
    begins, ends = _moment(element.get("NotBefore")), _moment(element.get("NotOnOrAfter"))
    if ends is not None and now >= ends:
        raise AwsError("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
    if begins is not None and now < begins - SKEW:
        raise invalid("The assertion is not valid yet")


def _read(assertion: Element, entity: str, provider: str, role: str, now: float) -> Asserted:
    issuer = assertion.one(_ASSERTION, "Issuer").text()
    if issuer != entity:
        raise invalid("Issuer not present in specified provider")
    subject = assertion.one(_ASSERTION, "Subject")
    named = subject.one(_ASSERTION, "NameID")
    recipient = _recipient(subject, now)
    conditions = assertion.one(_ASSERTION, "Conditions")
    _check_times(conditions, now)
    allowed = [
        each.text() for part in conditions.elements(_ASSERTION, "AudienceRestriction") for each in part.elements(_ASSERTION, "Audience")
    ]
    if allowed and not any(audience in _AUDIENCES for audience in allowed):
        raise invalid("Audience restriction not met")
    values = _attributes(assertion)
    if not any({part.strip() for part in value.split(",")} == {role, provider} for value in values.get(f"{_ATTRIBUTE}Role", [])):
        raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithSAML", status=403)
    account, name = provider.split(":", 5)[4], provider.rpartition("/")[2]
    kind = (named.get("Format") or "").removeprefix(_NAME_FORMAT)
    tags = tuple(
        (key.removeprefix(f"{_ATTRIBUTE}PrincipalTag:"), found[0])
        for key, found in values.items()
        if key.startswith(f"{_ATTRIBUTE}PrincipalTag:") and len(found) == 1
    )
    return Asserted(
        provider=provider,
        issuer=issuer,
        subject=named.text(),
        subject_type=kind if kind in ("persistent", "transient") else named.get("Format") or "",
        audience=recipient,
        qualifier=b64encode(sha1(f"{issuer}{account}/{name}".encode(), usedforsecurity=False).digest()).decode(),
        session_name=_one(values, "RoleSessionName"),
        seconds=_seconds(values),
        tags=tags,
        transitive=tuple(key for key in values.get(f"{_ATTRIBUTE}TransitiveTagKeys", []) if key in dict(tags)),
        source_identity=_one(values, "SourceIdentity", required=False),
    )


def _recipient(subject: Element, now: float) -> str:
    """AWS's sign-in page, for which the subject was confirmed; the assertion must be used before that ends."""
    for confirmation in subject.elements(_ASSERTION, "SubjectConfirmation"):
        if confirmation.get("Method") == _BEARER:
            data = confirmation.one(_ASSERTION, "SubjectConfirmationData")
            recipient = data.get("Recipient") or ""
            if data.get("NotOnOrAfter") is None:
                raise invalid("SubjectConfirmationData must have NotOnOrAfter")
            _check_times(data, now)
            host = recipient.removeprefix("https://").partition("/")[0]
            if not recipient.startswith("https://") or not (host == "signin.aws.amazon.com" or host.endswith(".signin.aws.amazon.com")):
                raise invalid("Recipient is not AWS's sign-in page")
            return recipient
    raise invalid("The subject is not confirmed by its bearer")


def _attributes(assertion: Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for statement in assertion.elements(_ASSERTION, "AttributeStatement"):
        for attribute in statement.elements(_ASSERTION, "Attribute"):
            values = [value.text() for value in attribute.elements(_ASSERTION, "AttributeValue")]
            found.setdefault(attribute.get("Name") or "", []).extend(values)
    return found


def _one(values: dict[str, list[str]], name: str, *, required: bool = True) -> str:
    found = values.get(_ATTRIBUTE + name, [])
    if not found and not required:
        return ""
    if len(found) != 1:
        raise invalid(f"{name} is required in AuthnResponse" if not found else f"{name} must have one value")
    text = found[0]
    if not 2 <= len(text) <= 64 or not all(char.isascii() and (char.isalnum() or char in "_=,.@-") for char in text):
        raise invalid(f"{name} in AuthnResponse must match [a-zA-Z_0-9+=,.@-]{{2,64}}")
    return text


def _seconds(values: dict[str, list[str]]) -> int | None:
    found = values.get(f"{_ATTRIBUTE}SessionDuration", [])
    if not found:
        return None
    if not found[0].isdecimal() or not 900 <= int(found[0][:9]) <= 43200:
        raise invalid("SessionDuration must be 900 to 43200 seconds")
    return int(found[0])
