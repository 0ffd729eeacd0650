"""What AWS publishes of each CloudFormation type: its properties, which of them are required, create-only, read-only, where its tags are, what GetAtt gives.

Read from the files of cfn-lint (the provider schemas, as AWS's registry has them, put right where they are wrong), found without importing it: the import
costs a second. The region us-east-1 is read for all: it has every type. cfn-lint's `extensions` (rules between properties, in keywords of its own) are left
to the services, which have AWS's own words for them.

Invariant: reading is I/O and takes milliseconds a type, so a plan asks for its types (`schema`) in a thread, before the transaction that uses them;
what is kept afterwards is compiled, bounded, and never the document.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from windtunnel.kernel.typed import from_json
from windtunnel.provision.compiling import Check, Compiler

KEPT_TYPES = 256
"""How many compiled types stay in memory; a template seldom has more than 60."""
_NAME = re.compile(r"[A-Za-z0-9]{1,64}(::[A-Za-z0-9]{1,64}){2,3}")
_EVERY_PROPERTY_IS_AN_ATTRIBUTE = frozenset(
    {
        "AWS::AutoScaling::AutoScalingGroup",
        "AWS::CodeArtifact::Domain",
        "AWS::CodeArtifact::Repository",
        "AWS::EC2::Instance",
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::Subnet",
        "AWS::EC2::VPC",
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "AWS::Events::EventBus",
        "AWS::ImageBuilder::Component",
        "AWS::ImageBuilder::ImagePipeline",
        "AWS::S3::AccessPoint",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::SSM::Parameter",
        "AWS::StepFunctions::Activity",
    }
)
"""Types older than the registry whose documentation lists properties of theirs as return values of Fn::GetAtt too (SSM: `Type`, `Value`)."""

TagForm = Literal["list", "map", ""]


class Node:
    """One place in a type's properties, as comparing and reading need it.

    kinds: JSON types, () for any. properties: by name. items: of an array. values: of a map. ordered: whether an array's order matters
    (`insertionOrder`). unique: no item twice.
    """

    __slots__ = ("kinds", "properties", "items", "values", "ordered", "unique")

    def __init__(self) -> None:
        self.kinds: tuple[str, ...] = ()
        self.properties: dict[str, Node] = {}
        self.items: Node | None = None
        self.values: Node | None = None
        self.ordered = True
        self.unique = False

    @property
    def is_tags(self) -> bool:
        """Whether this is a list of Key/Value and nothing else (a filter by tag has a type as well)."""
        return self.items is not None and self.items.properties.keys() == {"Key", "Value"}


class TypeSchema(msgspec.Struct, frozen=True, eq=False):
    """A type, compiled. Paths are like `/Tags`, `/VpcConfig/SubnetIds`, `/Rules/*/Prefix`; identifier: in AWS's order.

    attributes: what GetAtt takes, dotted (`Endpoint.Address`). handlers: what the registry can do with the type (`create`, `read`, …; none for types that
    are older than it). tag_property: the top-level property of the tags, "" for none.
    """

    name: str
    root: Node
    check: Check
    required: frozenset[str]
    create_only: frozenset[str]
    conditional_create_only: frozenset[str]
    read_only: frozenset[str]
    write_only: frozenset[str]
    identifier: tuple[str, ...]
    attributes: frozenset[str]
    unordered: frozenset[str]
    tag_property: str
    tag_form: TagForm
    handlers: frozenset[str]

    @property
    def properties(self) -> dict[str, Node]:
        return self.root.properties


@lru_cache(maxsize=1024)
def known(type_name: str) -> bool:
    """Whether AWS has this type (custom resources and modules are none of these)."""
    return _NAME.fullmatch(type_name) is not None and b'"%s":' % type_name.encode() in _index()


def all_types() -> list[str]:
    """Every type that AWS has, by name."""
    return sorted(from_json(_index(), dict[str, str]))


@lru_cache(maxsize=KEPT_TYPES)
def schema(type_name: str) -> TypeSchema | None:
    """A type's schema, compiled; None when AWS has no such type. The first call for a type reads a file."""
    document = _document(type_name)
    return compile_schema(document) if document is not None else None


def document_text(type_name: str) -> str | None:
    """The provider schema as JSON text, as DescribeType gives it. Read anew each time."""
    path = _path(type_name)
    return path.read_text() if path is not None else None


@lru_cache(maxsize=1)
def _directory() -> Path:
    found = importlib.util.find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        raise LookupError("cfn-lint, whose provider schemas CloudFormation reads, is not installed")
    return Path(found.submodule_search_locations[0]) / "data" / "schemas"


@lru_cache(maxsize=1)
def _index() -> bytes:
    """Type name to hash, undecoded: 100 KB instead of a dict's 400."""
    return (_directory() / "providers" / "us-east-1.json").read_bytes()


def _path(type_name: str) -> Path | None:
    if not known(type_name):
        return None
    text = _index()
    after = text.index(b'"%s":' % type_name.encode()) + len(type_name) + 3
    start = text.index(b'"', after) + 1
    name = text[start : text.index(b'"', start)].decode()
    return _directory() / "resources" / f"{name}.json"


def _document(type_name: str) -> dict[str, Any] | None:
    path = _path(type_name)
    return from_json(path.read_bytes(), dict[str, Any]) if path is not None else None


def compile_schema(document: dict[str, Any]) -> TypeSchema:
    """A provider schema's document, compiled."""
    name = document["typeName"]
    root = _Tree(document).root()
    read_only = _paths(document, "readOnlyProperties")
    tag_property, tag_form = _tags(document, root)
    return TypeSchema(
        name=name,
        root=root,
        check=Compiler(document).root(),
        required=frozenset(document.get("required", ())),
        create_only=_paths(document, "createOnlyProperties"),
        conditional_create_only=_paths(document, "conditionalCreateOnlyProperties"),
        read_only=read_only,
        write_only=_paths(document, "writeOnlyProperties"),
        identifier=tuple(path.removeprefix("/properties/") for path in document.get("primaryIdentifier", ())),
        attributes=frozenset(_attributes(name, root, read_only)),
        unordered=frozenset(_unordered(root)),
        tag_property=tag_property,
        tag_form=tag_form,
        handlers=frozenset(document.get("handlers", ())),
    )


def _paths(document: Mapping[str, Any], keyword: str) -> frozenset[str]:
    return frozenset(_path_of(pointer) for pointer in document.get(keyword, ()))


def _path_of(pointer: str) -> str:
    """`/properties/A/items/properties/B` and `/properties/A/*/B` are both `/A/*/B`."""
    steps = pointer.removeprefix("/properties").split("/")
    return "/".join("*" if step == "items" else step for step in steps if step != "properties")


def _tags(document: Mapping[str, Any], root: Node) -> tuple[str, TagForm]:
    tagging = document.get("tagging", {})
    name = str(tagging.get("tagProperty", "/properties/Tags")).removeprefix("/properties/")
    node = root.properties.get(name)
    if node is None or tagging.get("taggable", document.get("taggable", True)) is False:
        return "", ""
    return name, "list" if node.is_tags or "array" in node.kinds else "map"


def _attributes(name: str, root: Node, read_only: Iterable[str]) -> Iterator[str]:
    for path in read_only:
        steps = path.removeprefix("/").split("/")
        yield ".".join(steps)
        if (node := _at(root, steps)) is not None:
            yield from _leaves(node, ".".join(steps))
    if name in _EVERY_PROPERTY_IS_AN_ATTRIBUTE:
        yield from root.properties


def _at(root: Node, steps: list[str]) -> Node | None:
    node: Node | None = root
    for step in steps:
        if node is None:
            return None
        node = node.items if step == "*" else node.properties.get(step)
    return node


def _leaves(node: Node, name: str, depth: int = 0) -> Iterator[str]:
    if depth < 4:
        for member, below in node.properties.items():
            yield f"{name}.{member}"
            yield from _leaves(below, f"{name}.{member}", depth + 1)


def _unordered(root: Node) -> Iterator[str]:
    """Paths of the arrays whose order does not matter; a recursive definition is walked once on each way down."""
    level: list[tuple[str, Node, tuple[Node, ...]]] = [("", root, ())]
    while level:
        path, node, above = level.pop()
        if node in above:
            continue
        if not node.ordered:
            yield path
        above = (*above, node)
        level += [(f"{path}/{name}", below, above) for name, below in node.properties.items()]
        level += [(f"{path}/*", below, above) for below in (node.items, node.values) if below is not None]


class _Tree:
    """Builds the nodes of one document; a definition's node is shared by all its uses."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._compiler = Compiler(document)
        self._shared: dict[str, Node] = {}

    def root(self) -> Node:
        return self._fill(Node(), {"type": "object", "properties": self._document.get("properties", {})})

    def node(self, raw: dict[str, Any]) -> Node:
        reference = raw.get("$ref")
        if not isinstance(reference, str):
            return self._fill(Node(), raw)
        found = self._shared.get(reference)
        if found is None:
            found = self._shared[reference] = Node()
            self._fill(found, self._compiler.resolve(reference))
        return found

    def _fill(self, node: Node, raw: dict[str, Any]) -> Node:
        if isinstance(reference := raw.get("$ref"), str):
            raw = self._compiler.resolve(reference)
        kinds = raw.get("type", ())
        node.kinds = node.kinds or ((kinds,) if isinstance(kinds, str) else tuple(kinds))
        for name, child in raw.get("properties", {}).items():
            node.properties.setdefault(name, self.node(child))
        values = next(iter(raw.get("patternProperties", {}).values()), raw.get("additionalProperties"))
        if isinstance(values, dict):
            node.values = self.node(values)
        if isinstance(items := raw.get("items"), dict):
            node.items = self.node(items)
        node.ordered = node.ordered and raw.get("insertionOrder", True) is not False
        node.unique = node.unique or raw.get("uniqueItems") is True
        for keyword in ("oneOf", "anyOf", "allOf"):
            for branch in raw.get(keyword, ()):
                if "properties" in branch or "$ref" in branch:
                    self._fill(node, branch)
        return node
