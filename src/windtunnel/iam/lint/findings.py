"""Findings: their types by issue code, and their places in the text."""

from __future__ import annotations

from typing import Literal, NamedTuple

from windtunnel.iam.source import Node, Place, place

Kind = Literal["identity", "resource", "trust"]
Step = str | int | tuple[str, str]
"""A member's name, an element's index, or ("key", name) for a name itself."""
Path = tuple[Step, ...]
_LINK = (
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html#access-analyzer-reference-policy-checks"
)
_SECURITY = {
    "ALLOW_WITH_NOT_PRINCIPAL",
    "FORALLVALUES_WITH_SINGLE_VALUED_KEY",
    "MISSING_PAIRED_CONDITION_KEYS",
    "PASS_ROLE_WITH_NOT_ACTION_AND_NOT_RESOURCE",
    "PASS_ROLE_WITH_NOT_RESOURCE",
    "PASS_ROLE_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE",
    "PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE",
    "PASS_ROLE_WITH_STAR_IN_RESOURCE",
}
_WARNING = {
    "CREATE_SLR_WITH_NOT_ACTION_AND_NOT_RESOURCE",
    "CREATE_SLR_WITH_NOT_RESOURCE",
    "CREATE_SLR_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE",
    "CREATE_SLR_WITH_STAR_IN_ACTION_AND_RESOURCE",
    "CREATE_SLR_WITH_STAR_IN_RESOURCE",
    "MISSING_VERSION",
    "POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA",
    "TYPE_MISMATCH_BOOLEAN",
    "TYPE_MISMATCH_DATE",
    "TYPE_MISMATCH_IP_RANGE",
    "TYPE_MISMATCH_NUMBER",
    "TYPE_MISMATCH_STRING",
    "UNIQUE_SIDS_RECOMMENDED",
    "WILDCARD_WITHOUT_LIKE_OPERATOR",
}
_SUGGESTION = {
    "EMPTY_ARRAY_ACTION",
    "EMPTY_ARRAY_CONDITION",
    "EMPTY_ARRAY_RESOURCE",
    "EMPTY_OBJECT_CONDITION",
    "EMPTY_OBJECT_PRINCIPAL",
    "EMPTY_SID_VALUE",
    "IMPROVE_IP_RANGE",
    "NULL_WITH_QUALIFIER",
    "PRIVATE_IP_ADDRESS_SUBSET",
    "PRIVATE_NOT_IP_ADDRESS_SUBSET",
    "REDUNDANT_ACTION",
    "REDUNDANT_CONDITION_VALUE_NUM",
    "REDUNDANT_RESOURCE",
    "REDUNDANT_STATEMENT",
    "WILDCARD_IN_SERVICE_NAME",
}
FindingType = Literal["ERROR", "SECURITY_WARNING", "WARNING", "SUGGESTION"]


class Location(NamedTuple):
    path: Path
    start: Place
    end: Place


class Finding(NamedTuple):
    type: FindingType
    code: str
    details: str
    locations: tuple[Location, ...]

    @property
    def link(self) -> str:
        kind = {"WARNING": "general-warning"}.get(self.type, self.type.lower().replace("_", "-"))
        return f"{_LINK}-{kind}-{self.code.lower().replace('_', '-')}"


def type_of(code: str) -> FindingType:
    if code in _SECURITY:
        return "SECURITY_WARNING"
    if code in _WARNING:
        return "WARNING"
    return "SUGGESTION" if code in _SUGGESTION else "ERROR"


class Spot(NamedTuple):
    """A value and the way to it."""

    path: Path
    node: Node

    def items(self) -> tuple[Spot, ...]:
        """A list's elements; the value itself where it is none."""
        if not isinstance(self.node.value, list):
            return (self,)
        return tuple(Spot((*self.path, i), element) for i, element in enumerate(self.node.elements))

    def member(self, name: str) -> Spot | None:
        found = self.node.get(name)
        return None if found is None else Spot((*self.path, name), found)

    def texts(self) -> list[tuple[str, Spot]]:
        """Those of the items that are texts."""
        return [(spot.node.value, spot) for spot in self.items() if isinstance(spot.node.value, str)]


class Report:
    def __init__(self, text: str) -> None:
        self.text = text
        self.findings: list[Finding] = []

    def add(self, code: str, details: str, *spots: Spot) -> None:
        locations = tuple(self._location(spot.path, spot.node.start, spot.node.end) for spot in spots)
        self.findings.append(Finding(type_of(code), code, details, locations))

    def at_key(self, code: str, details: str, above: Path, name: str, span: tuple[int, int]) -> None:
        """About a member's name, not its value."""
        self.findings.append(Finding(type_of(code), code, details, (self._location((*above, ("key", name)), *span),)))

    def syntax(self, offset: int, details: str) -> None:
        end = min(offset + 1, len(self.text))
        self.findings.append(Finding("ERROR", "JSON_SYNTAX_ERROR", details, (self._location((), min(offset, len(self.text)), end),)))

    def _location(self, path: Path, start: int, end: int) -> Location:
        return Location(path, place(self.text, start), place(self.text, end))
