"""XML signatures as SAML uses them: one enveloped signature over one element, in exclusive canonical form. Pure.

Invariants: what is answered is the canonical text of the signed element and nothing else, so that nobody can be shown another one than
was proven; documents with a DOCTYPE or processing instructions are not read at all. Source: W3C xml-exc-c14n, xmldsig-core1.
"""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from hashlib import sha256, sha384, sha512
from typing import Any

DS = "http://www.w3.org/2000/09/xmldsig#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
_ENVELOPED = f"{DS}enveloped-signature"
_DIGESTS: dict[str, Any] = {
    "http://www.w3.org/2001/04/xmlenc#sha256": sha256,
    "http://www.w3.org/2001/04/xmldsig-more#sha384": sha384,
    "http://www.w3.org/2001/04/xmlenc#sha512": sha512,
}
_SIGNATURES = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": "SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384": "SHA384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512": "SHA512",
}
MAX_DEPTH = 60
MAX_ELEMENTS = 5000


class Unproven(Exception):
    """Not XML that is taken, or not signed as it must be."""


class Element:
    """An element with its prefixes as written. scope: prefix -> namespace, of itself and of all that it stands in."""

    __slots__ = ("attributes", "children", "scope", "tag")

    def __init__(self, tag: str, attributes: list[tuple[str, str]], scope: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.scope = scope
        self.children: list[Element | str] = []

    def name(self) -> tuple[str, str]:
        """(namespace, local name)."""
        prefix, _, local = self.tag.rpartition(":")
        return self.scope.get(prefix, ""), local

    def get(self, name: str) -> str | None:
        """An attribute without a prefix."""
        return next((value for key, value in self.attributes if key == name), None)

    def elements(self, namespace: str = "", local: str = "") -> list[Element]:
        """The child elements, of one name if one is given."""
        return [child for child in self.children if isinstance(child, Element) and (not local or child.name() == (namespace, local))]

    def one(self, namespace: str, local: str) -> Element:
        found = self.elements(namespace, local)
        if len(found) != 1:
            raise Unproven(f"there must be one {local}")
        return found[0]

    def text(self) -> str:
        if self.elements():
            raise Unproven(f"{self.tag} has elements where text belongs")
        return "".join(child for child in self.children if isinstance(child, str)).strip()

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.elements():
            yield from child.walk()


def read(text: bytes) -> Element:
    """Raises Unproven."""
    from xml.parsers import expat

    parser = expat.ParserCreate()
    roots: list[Element] = []
    above: list[Element] = []
    count = 0

    def start(tag: str, given: list[str]) -> None:
        nonlocal count
        count += 1
        if count > MAX_ELEMENTS or len(above) >= MAX_DEPTH:
            raise Unproven("too large")
        scope = dict(above[-1].scope) if above else {}
        attributes = []
        for name, value in zip(given[::2], given[1::2], strict=True):
            if name == "xmlns" or name.startswith("xmlns:"):
                scope[name.partition(":")[2]] = value
            else:
                attributes.append((name, value))
        element = Element(tag, attributes, scope)
        (above[-1].children if above else roots).append(element)
        above.append(element)

    def refuse(*_: Any) -> None:
        raise Unproven("a DOCTYPE, an entity or a processing instruction")

    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: above.pop()
    parser.CharacterDataHandler = lambda data: above[-1].children.append(data) if above else None
    parser.StartDoctypeDeclHandler = refuse
    parser.ProcessingInstructionHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as wrong:
        raise Unproven(str(wrong)) from None
    if len(roots) != 1:
        raise Unproven("no element")
    for element in roots[0].walk():
        for prefix in {name.rpartition(":")[0] for name in (element.tag, *(key for key, _ in element.attributes))}:
            if prefix not in ("", "xml") and prefix not in element.scope:
                raise Unproven("a prefix that stands for nothing")
    return roots[0]


# --- exclusive canonical form ------------------------------------------------------------------------------------------------


def canonical(element: Element, inclusive: frozenset[str] = frozenset(), without: Element | None = None) -> bytes:
    """The element in exclusive canonical form, without comments. inclusive: prefixes treated inclusively; without: what is left out."""
    pieces: list[str] = []
    _render(element, {}, inclusive, without, pieces)
    return "".join(pieces).encode()


def _render(element: Element, rendered: dict[str, str], inclusive: frozenset[str], without: Element | None, out: list[str]) -> None:
    used = {element.tag.rpartition(":")[0], *(name.rpartition(":")[0] for name, _ in element.attributes if ":" in name)}
    used |= {"" if prefix == "#default" else prefix for prefix in inclusive if prefix == "#default" or prefix in element.scope}
    shown = dict(rendered)
    declarations = []
    for prefix in sorted(used - {"xml"}):
        namespace = element.scope.get(prefix, "")
        if shown.get(prefix, "") != namespace:
            declarations.append((f"xmlns:{prefix}" if prefix else "xmlns", namespace))
            shown[prefix] = namespace
    ordered = sorted(element.attributes, key=lambda pair: _attribute_order(element, pair[0]))
    out.append("<" + element.tag + "".join(f' {name}="{_escaped(value)}"' for name, value in (*declarations, *ordered)) + ">")
    for child in element.children:
        if isinstance(child, str):
            out.append(child.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;"))
        elif child is not without:
            _render(child, shown, inclusive, without, out)
    out.append(f"</{element.tag}>")


def _attribute_order(element: Element, name: str) -> tuple[str, str]:
    prefix, _, local = name.rpartition(":")
    if prefix == "xml":
        return "http://www.w3.org/XML/1998/namespace", local
    return (element.scope.get(prefix, "") if prefix else ""), local


def _escaped(value: str) -> str:
    for plain, coded in (("&", "&amp;"), ("<", "&lt;"), ('"', "&quot;"), ("\t", "&#x9;"), ("\n", "&#xA;"), ("\r", "&#xD;")):
        value = value.replace(plain, coded)
    return value


# --- signatures ------------------------------------------------------------------------------------------------------------------


def proven(root: Element, signed: Element, keys: list[Any]) -> Element:
    """The element that `signed`'s own signature covers, read anew from what was proven. keys: RSA public keys. Raises Unproven."""
    signature = signed.one(DS, "Signature")
    info = signature.one(DS, "SignedInfo")
    if info.one(DS, "CanonicalizationMethod").get("Algorithm") != _EXCLUSIVE:
        raise Unproven("the signature's canonical form is not the exclusive one")
    reference = info.one(DS, "Reference")
    name = signed.get("ID")
    if not name or reference.get("URI") != f"#{name}" or sum(each.get("ID") == name for each in root.walk()) != 1:
        raise Unproven("the signature does not refer to the element that it stands in")
    digest = _DIGESTS.get(reference.one(DS, "DigestMethod").get("Algorithm") or "")
    if digest is None:
        raise Unproven("the digest's algorithm is not taken")
    content = canonical(signed, _inclusive(reference), without=signature)
    if not hmac.compare_digest(digest(content).digest(), _decoded(reference.one(DS, "DigestValue").text())):
        raise Unproven("the digest is another one")
    prefixes = _prefixes(info.one(DS, "CanonicalizationMethod"))
    method = _SIGNATURES.get(info.one(DS, "SignatureMethod").get("Algorithm") or "")
    value = _decoded(signature.one(DS, "SignatureValue").text())
    if method is None or not any(_verifies(key, value, canonical(info, prefixes), method) for key in keys):
        raise Unproven("the signature is not the provider's")
    return read(content)


def _inclusive(reference: Element) -> frozenset[str]:
    """The prefixes of the reference's canonical form, whose transforms may be no others than the two that SAML allows."""
    found: frozenset[str] = frozenset()
    algorithms = []
    for transform in reference.one(DS, "Transforms").elements(DS, "Transform"):
        algorithms.append(transform.get("Algorithm"))
        if algorithms[-1] == _EXCLUSIVE:
            found = _prefixes(transform)
    if algorithms != [_ENVELOPED, _EXCLUSIVE]:
        raise Unproven("the signature's transforms are not SAML's")
    return found


def _prefixes(method: Element) -> frozenset[str]:
    lists = method.elements(_EXCLUSIVE, "InclusiveNamespaces")
    return frozenset((lists[0].get("PrefixList") or "").split()) if lists else frozenset()


def _decoded(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except (NotBase64, ValueError):
        raise Unproven("not base64") from None


def _verifies(key: Any, signature: bytes, content: bytes, method: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    try:
        key.verify(signature, content, padding.PKCS1v15(), getattr(hashes, method)())
    except InvalidSignature:
        return False
    return True
