"""AssumeRoleWithSAML through boto3, with assertions that a provider of the test's own signs: canonical forms come from the standard
library's writer, not from ours."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import canonicalize

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import Door
from harness import ACCOUNT, InProcessCloud
from windtunnel.kernel.clock import FixedClock
from windtunnel.services.sts.xmlsig import Unproven, canonical, read

ENTITY = "https://idp.example.com/saml"
ROLE, PROVIDER = f"arn:aws:iam::{ACCOUNT}:role/Deploy", f"arn:aws:iam::{ACCOUNT}:saml-provider/idp"
SIGN_IN = "https://signin.aws.amazon.com/saml"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


class Provider:
    """Signs assertions as it is told."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key()).serial_number(1)
        builder = builder.not_valid_before(datetime(2026, 1, 1)).not_valid_after(datetime(2046, 1, 1))
        self.certificate = b64encode(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()

    def metadata(self) -> str:
        return (
            f'<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{ENTITY}"><md:IDPSSODescriptor'
            ' protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><md:KeyDescriptor use="signing">'
            f'<ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{self.certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>'
            "</md:KeyDescriptor></md:IDPSSODescriptor></md:EntityDescriptor>"
        )

    def signature(self, element: str, name: str) -> str:
        """The Signature element for an element (by itself) whose ID is name."""
        digest = b64encode(sha256(canonicalize(element).encode()).digest()).decode()
        info = (
            f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
            f'<ds:Reference URI="#{name}"><ds:Transforms><ds:Transform Algorithm="{DS}enveloped-signature"/>'
            f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        )
        value = b64encode(self.key.sign(canonicalize(info).encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
        return f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>'


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def assertion(now: datetime, **changes: Any) -> str:
    """An unsigned assertion; <!--sig--> is where its signature goes."""
    said: dict[str, Any] = {
        "issuer": ENTITY,
        "recipient": SIGN_IN,
        "audience": "urn:amazon:webservices",
        "until": now + timedelta(minutes=5),
        "roles": [f"{ROLE},{PROVIDER}"],
        "session": "carol@example.com",
        "more": {},
    } | changes
    attributes = {"Role": said["roles"], "RoleSessionName": [said["session"]], **said["more"]}
    rows = "".join(
        f'<Attribute Name="https://aws.amazon.com/SAML/Attributes/{name}">'
        + "".join(f"<AttributeValue>{value}</AttributeValue>" for value in values)
        + "</Attribute>"
        for name, values in attributes.items()
    )
    return (
        f'<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_a1" IssueInstant="{stamp(now)}" Version="2.0">'
        f'<Issuer>{said["issuer"]}</Issuer><!--sig--><Subject><NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">carol</NameID>'
        '<SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
        f'<SubjectConfirmationData NotOnOrAfter="{stamp(said["until"])}" Recipient="{said["recipient"]}"/></SubjectConfirmation></Subject>'
        f'<Conditions NotBefore="{stamp(now - timedelta(minutes=1))}" NotOnOrAfter="{stamp(said["until"])}">'
        f"<AudienceRestriction><Audience>{said['audience']}</Audience></AudienceRestriction></Conditions>"
        f"<AttributeStatement>{rows}</AttributeStatement></Assertion>"
    )


def response(body: str, status: str = "Success") -> str:
    return (
        '<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_r1" Version="2.0"><samlp:Status>'
        f'<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>{body}</samlp:Response>'
    )


def signed(provider: Provider, text: str, name: str = "_a1") -> str:
    return text.replace("<!--sig-->", provider.signature(text.replace("<!--sig-->", ""), name))


def coded(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(float(int(time.time())))


@pytest.fixture
def now(clock: FixedClock) -> datetime:
    return datetime.fromtimestamp(clock.now(), UTC)


@pytest.fixture
def door(tmp_path: Path, clock: FixedClock, provider: Provider) -> Iterator[Door]:
    with InProcessCloud(tmp_path, clock=clock) as cloud:
        door = Door(cloud)
        iam = door.client("iam")
        iam.create_saml_provider(Name="idp", SAMLMetadataDocument=provider.metadata())
        statement = {
            "Effect": "Allow",
            "Principal": {"Federated": PROVIDER},
            "Action": ["sts:AssumeRoleWithSAML", "sts:TagSession"],
            "Condition": {"StringEquals": {"SAML:aud": SIGN_IN}},
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_role(RoleName="Deploy", AssumeRolePolicyDocument=trust)
        may = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}'
        iam.put_role_policy(RoleName="Deploy", PolicyName="may", PolicyDocument=may)
        yield door


def assume(door: Door, text: str, **more: Any) -> Any:
    sts = door.client("sts", ("", "", ""))
    return sts.assume_role_with_saml(RoleArn=ROLE, PrincipalArn=PROVIDER, SAMLAssertion=coded(text), **more)


def refusal(door: Door, text: str) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        assume(door, text)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_signed_assertion_makes_a_session(door: Door, provider: Provider, now: datetime, whole: bool) -> None:
    plain = assertion(now, more={"SessionDuration": ["1800"]})
    if whole:
        bare = response(plain.replace("<!--sig-->", "")).replace("<samlp:Status>", "<!--sig--><samlp:Status>", 1)
        text = signed(provider, bare, "_r1")
    else:
        text = response(signed(provider, plain))
    reply = assume(door, text)
    assert (reply["Subject"], reply["SubjectType"], reply["Issuer"], reply["Audience"]) == ("carol", "persistent", ENTITY, SIGN_IN)
    found = reply["Credentials"]
    assert found["Expiration"] == now + timedelta(seconds=1800)
    session = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/carol@example.com"
    assert door.client("sts", session).get_caller_identity()["Arn"] == arn
    assert door.client("iam", session).list_users()["Users"] == []


@pytest.mark.parametrize(
    "changes, code",
    [
        pytest.param({"issuer": "https://other.example.com"}, "InvalidIdentityToken", id="another issuer"),
        pytest.param({"recipient": "https://evil.example.com/saml"}, "InvalidIdentityToken", id="for another page"),
        pytest.param(
            {"recipient": "https://signin.aws.amazon.com.evil.example/"}, "InvalidIdentityToken", id="for a page that looks alike"
        ),
        pytest.param({"audience": "https://other.example.com"}, "InvalidIdentityToken", id="for another audience"),
        pytest.param({"until": datetime(2020, 1, 1, tzinfo=UTC)}, "ExpiredTokenException", id="ended"),
        pytest.param({"roles": [f"arn:aws:iam::{ACCOUNT}:role/Other,{PROVIDER}"]}, "AccessDenied", id="for another role"),
        pytest.param({"session": "x"}, "InvalidIdentityToken", id="a session name that is none"),
        pytest.param({"more": {"SessionDuration": ["60"]}}, "InvalidIdentityToken", id="too short a session"),
    ],
)
def test_an_assertion_that_is_not_right(door: Door, provider: Provider, now: datetime, changes: dict[str, Any], code: str) -> None:
    assert refusal(door, response(signed(provider, assertion(now, **changes))))[0] == code


def test_what_nobody_signed_is_refused(door: Door, provider: Provider, now: datetime) -> None:
    good = signed(provider, assertion(now))
    other = signed(Provider(), assertion(now))
    evil = assertion(now, session="mallory").replace("<!--sig-->", "")
    proof = good[good.index("<ds:Signature") : good.index("</ds:Signature>") + len("</ds:Signature>")]
    for text in (
        response(assertion(now)),
        response(good.replace("carol@", "mallory@")),
        response(other),
        response(good + evil.replace('ID="_a1"', 'ID="_a2"')),
        response(evil + good.replace('ID="_a1"', 'ID="_a1"')),
        response(evil.replace("</Issuer>", f"</Issuer>{proof}").replace("<Subject>", f"<Wrapped>{good}</Wrapped><Subject>", 1)),
        response(evil.replace("</Issuer>", f"</Issuer>{proof}").replace('ID="_a1"', 'ID="_a2"')),
        f"<!DOCTYPE r [<!ENTITY x 'y'>]>{response(good)}",
        "<not-closed>",
    ):
        assert refusal(door, text)[0] == "InvalidIdentityToken"
    assert refusal(door, response(good, status="Responder"))[0] == "IDPRejectedClaim"
    assert assume(door, response(good))["Credentials"], "the same one, left as it is"


TEXT = st.text("ab&<>\"' \t\n\réü", max_size=6)
NAMES = st.sampled_from(["a", "b", "p:a", "q:b"])


def escaped(text: str) -> str:
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace('"', "&quot;")
        .replace("\r", "&#13;")
        .replace("\t", "&#9;")
        .replace("\n", "&#10;")
    )


def written(name: str, attributes: dict[str, str], children: list[str], declared: list[str]) -> str:
    spaces = "".join(f' xmlns{":" + prefix if prefix else ""}="urn:{prefix or "default"}{i}"' for i, prefix in enumerate(declared))
    rows = "".join(f' {key}="{escaped(value)}"' for key, value in attributes.items())
    return f"<{name}{spaces}{rows}>{''.join(children)}</{name}>"


LEAVES = TEXT.map(escaped)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        written,
        NAMES,
        st.dictionaries(NAMES, TEXT, max_size=3),
        st.lists(inner, max_size=3),
        st.lists(st.sampled_from(["", "p", "q"]), unique=True),
    ),
    max_leaves=8,
)


@given(st.lists(TREES, max_size=3))
@settings(max_examples=300, deadline=None)
def test_the_canonical_form_is_the_standard_librarys(children: list[str]) -> None:
    text = f'<root xmlns:p="urn:p" xmlns:q="urn:q">{"".join(children)}</root>'
    try:
        expected = canonicalize(text)
    except ValueError:  # the same attribute under two prefixes of one namespace
        return
    assert canonical(read(text.encode())).decode() == expected


@pytest.mark.parametrize(
    "text", ["", "<a>", "<a/><b/>", "<?xml version='1.0'?><?pi x?><a/>", "<!DOCTYPE a><a/>", "<x:a/>", "<a>" * 100 + "</a>" * 100]
)
def test_what_is_not_read(text: str) -> None:
    with pytest.raises(Unproven):
        read(text.encode())
