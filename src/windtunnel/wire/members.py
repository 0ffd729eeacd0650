"""Which input members are declared, as a tree that the decoders walk beside the shapes.

Invariant: what `Declared` does not name is refused; a path that names nothing below it covers a scalar, or a list or map of
scalars, and never a structure's members.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from windtunnel.kernel.registry import Declared

Kind = Literal["acts", "descriptive", "default-only", "refused"]
_SEGMENTS = re.compile(r"\[\]|\{\}|[^.\[\]{}]+")
MISSING: Any = object()


class Node:
    """One step of the declared paths. everything: all below is declared; default: the only value that is accepted."""

    __slots__ = ("children", "everything", "kind", "default")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.everything = False
        self.kind: Kind | None = None
        self.default: Any = MISSING

    def child(self, segment: str) -> Node | None:
        """The node below, None when nothing there is declared."""
        return self if self.everything else self.children.get(segment)

    def covers_scalars(self, element: str) -> bool:
        """Whether a list ("[]") or map ("{}") of scalars at this node is declared."""
        return self.everything or not self.children or element in self.children


def declared_tree(declared: Declared | None) -> Node:
    """The tree of the declared paths; None declares everything."""
    root = Node()
    if declared is None:
        root.everything = True
        root.kind = "acts"
        return root
    for kind, paths in (("descriptive", declared.descriptive), ("acts", declared.acts)):
        for path in paths:
            _insert(root, path, kind)  # type: ignore[arg-type]
    for path, value in declared.default_only.items():
        _insert(root, path, "default-only").default = value
    return root


def _insert(root: Node, path: str, kind: Kind) -> Node:
    if path == "*":
        root.everything, root.kind = True, kind
        return root
    node = root
    segments = _SEGMENTS.findall(path)
    everything = segments[-1] == "*"
    for segment in segments[:-1] if everything else segments:
        node = node.children.setdefault(segment, Node())
    node.kind = kind
    node.everything = node.everything or everything
    return node
