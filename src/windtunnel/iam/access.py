"""What a policy can grant, without a request: for Access Analyzer's custom policy checks. Pure.

Invariant: "does not grant" is said only where it is certain. Two patterns meet or one covers the other by what they are made of;
conditions are taken for true where they allow and for false where they deny, so an answer errs on the side of "grants".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from windtunnel.iam.policy import statements_of
from windtunnel.iam.principals import listed
from windtunnel.iam.wildcards import marked, matcher

_LONGEST = 512
_FIELDS = 6
_RUN = "\uffff"
_ONE = "\ufffe"


def covers(wide: str, narrow: str) -> bool:
    """Whether every text that matches `narrow` matches `wide`."""
    if wide == narrow or wide == "*":
        return True
    test = matcher(marked(wide))
    text = narrow.replace("?", _ONE)
    if "*" not in narrow:
        return test(text)
    # A run that is longer than the pattern can be matched by a `*` of its own only; and that may also stand for nothing.
    return test(text.replace("*", "")) and test(text.replace("*", _RUN * (len(wide) + 1)))


def meet(one: str, other: str) -> bool:
    """Whether some text matches both."""
    if "*" not in one and "?" not in one:
        return matcher(marked(other))(one)
    if "*" not in other and "?" not in other:
        return matcher(marked(one))(other)
    if len(one) > _LONGEST or len(other) > _LONGEST:
        return True
    reached = {0}  # places in `other` that the part of `one` so far can stand at
    for char in (*one, ""):
        reached = _closed(reached, other)
        if char == "":
            break
        if char == "*":
            reached = set(range(min(reached, default=len(other) + 1), len(other) + 1))
        else:
            reached = {
                place + (other[place] != "*")
                for place in reached
                if place < len(other) and (char == "?" or other[place] in ("*", "?", char))
            }
    return len(other) in reached


def _closed(reached: set[int], pattern: str) -> set[int]:
    """With the places behind stars that stand for nothing."""
    found = set(reached)
    for place in sorted(reached):
        while place < len(pattern) and pattern[place] == "*":
            place += 1
            found.add(place)
    return found


def _arn_fields(pattern: str) -> list[str]:
    fields = pattern.split(":", _FIELDS - 1)
    return fields + ["*"] * (_FIELDS - len(fields)) if pattern != "*" else ["*"] * _FIELDS


def arns_meet(one: str, other: str) -> bool:
    return all(meet(a, b) for a, b in zip(_arn_fields(one), _arn_fields(other), strict=True))


def arn_covers(wide: str, narrow: str) -> bool:
    return wide == "*" or all(covers(a, b) for a, b in zip(_arn_fields(wide), _arn_fields(narrow), strict=True))


class Element(NamedTuple):
    """Action or Resource of a statement; negated for the Not form."""

    patterns: tuple[str, ...]
    negated: bool
    arns: bool

    def may_be(self, asked: str) -> bool:
        """Whether some of what is asked for is in it."""
        if self.negated:
            return not any((arn_covers if self.arns else covers)(pattern, asked) for pattern in self.patterns)
        return any((arns_meet if self.arns else meet)(pattern, asked) for pattern in self.patterns)

    def has_all(self, asked: str) -> bool:
        """Whether all of what is asked for is certainly in it."""
        if self.negated:
            return not any((arns_meet if self.arns else meet)(pattern, asked) for pattern in self.patterns)
        return any((arn_covers if self.arns else covers)(pattern, asked) for pattern in self.patterns)

    def within(self, other: Element) -> bool:
        """Whether all of this is certainly in the other."""
        if self.negated:
            compare = arn_covers if self.arns else covers
            return other.negated and all(any(compare(mine, theirs) for mine in self.patterns) for theirs in other.patterns)
        return all(other.has_all(pattern) for pattern in self.patterns)


class Grants(NamedTuple):
    """A statement, as far as it can be judged without a request."""

    at: int
    sid: str
    allow: bool
    actions: Element
    resources: Element
    principal: Any
    not_principal: Any
    conditions: Mapping[str, Mapping[str, Any]]


def grants_of(document: Mapping[str, Any]) -> list[Grants]:
    """A validated document's statements."""
    return [_grants(item, index) for index, item in enumerate(statements_of(document))]


def _grants(item: Mapping[str, Any], index: int) -> Grants:
    actions = tuple(text.lower() for text in listed(item.get("Action", item.get("NotAction", ()))))
    resources = tuple(listed(item.get("Resource", item.get("NotResource", "*"))))
    return Grants(
        at=index,
        sid=item.get("Sid", ""),
        allow=item["Effect"] == "Allow",
        actions=Element(actions, "NotAction" in item, False),
        resources=Element(resources, "NotResource" in item, True),
        principal=item.get("Principal"),
        not_principal=item.get("NotPrincipal"),
        conditions=item.get("Condition", {}),
    )


def granting(document: Mapping[str, Any], actions: Iterable[str], resources: Iterable[str]) -> list[Grants]:
    """The statements by which a policy may grant some of the actions on some of the resources (none given: any)."""
    statements = grants_of(document)
    denies = [each for each in statements if not each.allow and not each.conditions and each.principal in (None, "*", {"AWS": "*"})]
    asked = [(action.lower(), resource) for action in list(actions) or ["*"] for resource in list(resources) or ["*"]]
    return [each for each in statements if each.allow and any(_grants_some(each, denies, *one) for one in asked)]


def _grants_some(statement: Grants, denies: list[Grants], action: str, resource: str) -> bool:
    if not statement.actions.may_be(action) or not statement.resources.may_be(resource):
        return False
    for deny in denies:
        if (deny.actions.has_all(action) or statement.actions.within(deny.actions)) and (
            deny.resources.has_all(resource) or statement.resources.within(deny.resources)
        ):
            return False
    return True


def new_access(new: Mapping[str, Any], existing: Mapping[str, Any]) -> list[Grants]:
    """The statements of a new policy that may grant what the existing one does not; a denial that went is none of them."""
    before, after = grants_of(existing), grants_of(new)
    allowed = [each for each in before if each.allow]
    lost = [deny for deny in before if not deny.allow and not any(_as_wide(other, deny) for other in after if not other.allow)]
    return [each for each in after if each.allow and (lost or not _covered(each, allowed))]


def _covered(statement: Grants, allowed: list[Grants]) -> bool:
    """Each action on each resource by itself, so that statements may have been joined or split."""
    pieces = [
        statement._replace(actions=action, resources=resource)
        for action in _pieces(statement.actions)
        for resource in _pieces(statement.resources)
    ]
    return all(any(_as_wide(old, piece) for old in allowed) for piece in pieces)


def _pieces(element: Element) -> list[Element]:
    return [element] if element.negated else [element._replace(patterns=(pattern,)) for pattern in element.patterns]


def _as_wide(wide: Grants, narrow: Grants) -> bool:
    """Whether all that `narrow` reaches, `wide` reaches too: its conditions are among the other's."""
    return (
        narrow.actions.within(wide.actions)
        and narrow.resources.within(wide.resources)
        and _principal_within(narrow, wide)
        and all(
            narrow.conditions.get(operator, {}).get(key) == value
            for operator, keys in wide.conditions.items()
            for key, value in keys.items()
        )
    )


def _principal_within(narrow: Grants, wide: Grants) -> bool:
    if narrow.not_principal is not None or wide.not_principal is not None:
        return bool(narrow.not_principal == wide.not_principal and narrow.principal == wide.principal)
    if wide.principal in (None, "*") or wide.principal == narrow.principal:
        return True
    if not isinstance(narrow.principal, Mapping) or not isinstance(wide.principal, Mapping):
        return False
    return all(
        set(listed(names)) <= set(listed(wide.principal.get(kind, ()))) or (kind == "AWS" and "*" in listed(wide.principal.get("AWS", ())))
        for kind, names in narrow.principal.items()
    )


# --- everyone ------------------------------------------------------------------------------------------------------------------

_NARROWING = frozenset(
    [
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:vpcsourceip",
        "kms:calleraccount",
        "lambda:eventsourcetoken",
        "lambda:functionurlauthtype",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    ]
)
_WIDE_NETWORKS = ("0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/1")


def public_statements(document: Mapping[str, Any]) -> list[Grants]:
    """The statements by which everyone may do something."""
    statements = grants_of(document)
    denies = [each for each in statements if not each.allow and not each.conditions and _everyone(each)]
    found = [each for each in statements if each.allow and _everyone(each) and not _narrowed(each.conditions)]
    return [
        each for each in found if not any(each.actions.within(deny.actions) and each.resources.within(deny.resources) for deny in denies)
    ]


def _everyone(statement: Grants) -> bool:
    principal = statement.principal
    if statement.not_principal is not None:
        return True
    return principal == "*" or (isinstance(principal, Mapping) and "*" in listed(principal.get("AWS", ())))


def _narrowed(conditions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether some condition holds for certain callers only: a fixed value, asked for positively."""
    for operator, keys in conditions.items():
        base = operator.removeprefix("ForAnyValue:")
        if base.endswith("IfExists") or base.startswith("ForAllValues:") or "Not" in base:
            continue
        if base not in ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"):
            continue
        for key, values in keys.items():
            if key.lower() in _NARROWING and all(_fixed(key.lower(), str(value)) for value in _each(values)):
                return True
    return False


def _each(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _fixed(key: str, value: str) -> bool:
    if "${" in value or value in _WIDE_NETWORKS:
        return False
    if "*" not in value and "?" not in value:
        return True
    fields = value.split(":", _FIELDS - 1)
    return (
        key.endswith("arn")
        and len(fields) == _FIELDS
        and (fields[4].isdigit() or (fields[2] == "s3" and not fields[5].startswith(("*", "?"))))
    )
