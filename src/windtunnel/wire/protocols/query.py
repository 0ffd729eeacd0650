"""The query protocol and its EC2 variant: a form in, XML out.

Invariant: the form's dotted names are read along the input shape; a name that the shape does not have is refused by name, and a
hostile numbering (gaps, huge indices) costs no more than the parameters that were sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.registry import RULES
from windtunnel.wire.members import MISSING, Node
from windtunnel.wire.models import OperationModel, Ref, Shape
from windtunnel.wire.protocols import text
from windtunnel.wire.protocols.base import MAX_DEPTH, RawRequest, Response, malformed, parse_form
from windtunnel.wire.protocols.xmltext import escape
from windtunnel.wire.protocols.xmlwriter import XmlWriter

Tree = dict[str, Any]
"""One dotted step -> text, or the tree below it."""
Convert = Callable[[Any], Any]
_FRAME = frozenset(("Action", "Version"))
# What a presigned request carries beside its parameters, and what clients of older signatures leave behind.
_SIGNING = frozenset(
    f"X-Amz-{part}" for part in ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token", "User-Agent")
)


def compile_query_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    return _compile(operation, tree, _QueryNames(), _wrong_query)


def compile_query_json_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    """As the query protocol; `ContentType=JSON` says how to answer (compile_query_encoder of jsonrpc)."""
    return _compile(operation, tree, _QueryNames(), _wrong_query, frozenset(("ContentType",)))


def compile_ec2_reader(operation: OperationModel, tree: Node) -> Callable[[RawRequest], dict[str, Any]]:
    return _compile(operation, tree, _Ec2Names(), _wrong_ec2)


def _compile(
    operation: OperationModel, tree: Node, names: _QueryNames, wrong: text.Wrong, aside: frozenset[str] = frozenset()
) -> Callable[[RawRequest], dict[str, Any]]:
    """aside: names that are none of the operation's."""
    structure = _Reader(operation, names, wrong).structure(operation.input_shape, tree, "")
    rules = RULES.get(operation.service.name)
    newer = rules.newer if rules is not None else {}

    def read(request: RawRequest) -> dict[str, Any]:
        pairs = parse_form(request.body) if request.body else []
        if newer:
            pairs = [pair for pair in pairs if newer.get(pair[0]) != pair[1]]
        pairs = request.query + pairs if request.query else pairs
        if aside:
            pairs = [pair for pair in pairs if pair[0] not in aside]
        value: dict[str, Any] = structure(_tree(pairs))
        return value

    return read


def _tree(pairs: list[tuple[str, str]]) -> Tree:
    root: Tree = {}
    for name, value in pairs:
        if name in _FRAME or name in _SIGNING:
            continue
        if "." not in name:
            if type(root.get(name)) is dict:
                malformed(f"The parameter {name[:128]} is both a value and a structure.")
            root[name] = value
            continue
        steps = name.split(".")
        if len(steps) > 2 * MAX_DEPTH:
            malformed("A parameter is nested too deeply.")
        node = root
        for step in steps[:-1]:
            node = node.setdefault(step, {})
            if type(node) is not dict:
                malformed(f"The parameter {name[:128]} is both a value and a structure.")
        if type(node.get(steps[-1])) is dict:
            malformed(f"The parameter {name[:128]} is both a value and a structure.")
        node[steps[-1]] = value
    return root


def _wrong_query(value: str, wanted: str) -> NoReturn:
    raise AwsError("MalformedInput", f"'{value[:128]}' is not a valid {wanted}", status=400)


def _wrong_ec2(value: str, wanted: str) -> NoReturn:
    raise AwsError("InvalidParameterValue", f"Invalid value '{value[:128]}': a {wanted} is expected.", status=400)


class _QueryNames:
    """How the query protocol spells a member's name and the step before list and map elements."""

    flat = False

    def member(self, name: str, ref: Ref, target: Shape) -> set[str]:
        """The steps under which a member may come: a flat list's may be named after the list or after its elements."""
        names = {ref.location_name or name}
        if target.type == "list" and target.member is not None and self.flattened(ref, target) and target.member.location_name:
            names.add(target.member.location_name)
        return names

    def flattened(self, ref: Ref, shape: Shape) -> bool:
        return ref.flattened or shape.flattened

    def list_step(self, ref: Ref, shape: Shape) -> str | None:
        return None if self.flattened(ref, shape) else (shape.member and shape.member.location_name) or "member"

    def map_step(self, ref: Ref, shape: Shape) -> str | None:
        return None if self.flattened(ref, shape) else "entry"


class _Ec2Names(_QueryNames):
    """EC2's: names are capitalised, queryName wins, every list is flat."""

    def member(self, name: str, ref: Ref, target: Shape) -> set[str]:
        if ref.query_name:
            return {ref.query_name}
        wire = ref.location_name or name
        return {wire[:1].upper() + wire[1:], wire if ref.location_name is None else wire[:1].upper() + wire[1:]}

    def list_step(self, ref: Ref, shape: Shape) -> str | None:
        return None

    def map_step(self, ref: Ref, shape: Shape) -> str | None:
        return None


class _Reader:
    """Compiles the closures of one operation's input."""

    def __init__(self, operation: OperationModel, names: _QueryNames, wrong: text.Wrong) -> None:
        self.service = operation.service
        self.operation = operation.name
        self.names = names
        self.wrong = wrong
        self._whole: dict[tuple[str, bool], list[Convert]] = {}

    def structure(self, shape: Shape, node: Node, path: str) -> Convert:
        members: dict[str, tuple[str, Convert]] = {}
        for name, ref in shape.members.items():
            target = self.service.shape(ref.shape)
            where = f"{path}.{name}" if path else name
            below = node.child(name)
            convert = self._refusal(where) if below is None else self.member(ref, target, below, where)
            for wire in self.names.member(name, ref, target):
                members[wire] = (name, convert)
        service, operation = self.service.name, self.operation

        def read(value: Any) -> dict[str, Any]:
            out: dict[str, Any] = {}
            if type(value) is str:
                if value:
                    malformed(f"A structure is expected at {path[:128]}.")
                return out
            for key, item in value.items():
                member = members.get(key)
                if member is None:
                    unknown = key[:256] if type(item) is str else f"{key[:256]}.{_first(item)}"
                    raise not_built(service, operation, f"{path}.{unknown}" if path else unknown)
                out[member[0]] = member[1](item)
            return out

        return read

    def _refusal(self, path: str) -> Convert:
        service, operation = self.service.name, self.operation

        def refuse(_: Any) -> NoReturn:
            raise not_built(service, operation, path)

        return refuse

    def member(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if node.default is MISSING:
            return self.value(ref, shape, node, path)
        everything = Node()
        everything.everything = True
        convert = self.value(ref, shape, everything, path)
        service, operation, default = self.service.name, self.operation, node.default

        def read(item: Any) -> Any:
            value = convert(item)
            if value != default:
                raise not_built(service, operation, path)
            return value

        return read

    def value(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type not in ("structure", "list", "map"):
            return self._scalar(ref, shape, path)
        if not node.everything:
            return self._container(ref, shape, node, path)
        key = (ref.shape, self.names.flattened(ref, shape))
        cell = self._whole.get(key)
        if cell is None:
            cell = self._whole[key] = []
            cell.append(self._container(ref, shape, node, path))
        return cell[0] if cell else lambda item: cell[0](item)

    def _scalar(self, ref: Ref, shape: Shape, path: str) -> Convert:
        convert = text.reader(ref, shape, "iso8601", self.wrong)

        def read(value: Any) -> Any:
            if type(value) is not str:
                malformed(f"A single value is expected at {path[:128]}.")
            return convert(value)

        return read

    def _container(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        if shape.type == "structure":
            return self.structure(shape, node, path)
        if shape.type == "list":
            return self._list(ref, shape, node, path)
        return self._map(ref, shape, node, path)

    def _element(self, ref: Ref, node: Node, segment: str, path: str) -> Convert:
        shape = self.service.shape(ref.shape)
        below = node.child(segment)
        if below is None and shape.type not in ("structure", "list", "map") and node.covers_scalars(segment):
            below = node
        where = path + segment
        return self._refusal(where) if below is None else self.value(ref, shape, below, where)

    def _list(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.member is not None
        convert = self._element(shape.member, node, "[]", path)
        numbered = _numbered(self.names.list_step(ref, shape), path)

        def read(value: Any) -> list[Any]:
            return [convert(item) for item in numbered(value)]

        return read

    def _map(self, ref: Ref, shape: Shape, node: Node, path: str) -> Convert:
        assert shape.key is not None and shape.value is not None
        convert = self._element(shape.value, node, "{}", path)
        key_name, value_name = shape.key.location_name or "key", shape.value.location_name or "value"
        numbered = _numbered(self.names.map_step(ref, shape), path)

        def read(value: Any) -> dict[str, Any]:
            out = {}
            for item in numbered(value):
                if type(item) is not dict or type(item.get(key_name)) is not str or len(item) != 2 or value_name not in item:
                    malformed(f"Each entry at {path[:128]} needs a {key_name} and a {value_name}.")
                out[item[key_name]] = convert(item[value_name])
            return out

        return read


def _first(tree: Tree) -> str:
    return next(iter(tree))[:256] if tree else ""


def _numbered(step: str | None, path: str) -> Callable[[Any], list[Any]]:
    """The elements below `1`, `2`, … in numeric order; `step` stands before the numbers. An empty text is an empty list."""

    def elements(value: Any) -> list[Any]:
        if type(value) is str:
            if value:
                malformed(f"A list is expected at {path[:128]}.")
            return []
        if step is not None:
            if len(value) != 1 or step not in value:
                malformed(f"The elements at {path[:128]} are named {step}.N.")
            value = value[step]
            if type(value) is str:
                if value:
                    malformed(f"The elements at {path[:128]} are named {step}.N.")
                return []
        if len(value) == 1 and "1" in value:
            return [value["1"]]
        numbers = {}
        for key in value:
            if not (key.isascii() and key.isdecimal()) or len(key) > 9:
                malformed(f"{key[:64]} is not a valid index at {path[:128]}.")
            numbers[int(key)] = value[key]
        return [numbers[number] for number in sorted(numbers)]

    return elements


def compile_query_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """`<OpResponse xmlns><OpResult>…</OpResult><ResponseMetadata>…`."""
    service = operation.service
    namespace = f' xmlns="{escape(service.xml_namespace)}"' if service.xml_namespace else ""
    wrapper = (operation.output_ref.result_wrapper or f"{operation.name}Result") if operation.output_ref else None
    opening = f"<{operation.name}Response{namespace}>" + (f"<{wrapper}>" if wrapper else "")
    closing = (f"</{wrapper}>" if wrapper else "") + "<ResponseMetadata><RequestId>"
    end = f"</RequestId></ResponseMetadata></{operation.name}Response>"
    write = XmlWriter(operation, strict).members(operation.output_shape, operation.name)
    status = operation.http_status
    content_type = (b"content-type", b"text/xml")

    def encode(result: dict[str, Any], request_id: str) -> Response:
        out = [opening]
        write(result, out)
        out += (closing, request_id, end)
        return status, [(b"x-amzn-requestid", request_id.encode()), content_type], "".join(out).encode()

    return encode


def compile_ec2_encoder(operation: OperationModel, strict: bool) -> Callable[[dict[str, Any], str], Response]:
    """`<OpResponse xmlns><requestId>…</requestId>…`; an operation without output answers `<return>true</return>` as EC2 does."""
    service = operation.service
    namespace = service.xml_namespace or ""
    if service.name == "ec2" and not namespace.endswith("/"):
        namespace += "/"
    opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<{operation.name}Response xmlns="{escape(namespace)}"><requestId>'
    closing = f"</{operation.name}Response>"
    if operation.output is None:
        closing = "<return>true</return>" + closing
    write = XmlWriter(operation, strict, millis=service.name == "ec2").members(operation.output_shape, operation.name)
    status = operation.http_status
    content_type = (b"content-type", b"text/xml;charset=UTF-8")

    def encode(result: dict[str, Any], request_id: str) -> Response:
        out = [opening, request_id, "</requestId>"]
        write(result, out)
        out.append(closing)
        return status, [(b"x-amzn-requestid", request_id.encode()), content_type], "".join(out).encode()

    return encode
