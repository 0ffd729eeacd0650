"""The order in which a graph of resources is gone through: whatever can start does, and nothing before what it needs. Pure.

Invariant: a node is handed out once, after every node that it needs was done; what needs a failed node is never handed out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping


class Walk:
    """needs: node -> the nodes it waits for (others than the walk's own are ignored), in the order in which ready ones are handed out."""

    def __init__(self, needs: Mapping[str, Iterable[str]]) -> None:
        self._left: dict[str, int] = {}
        self._users: dict[str, list[str]] = {node: [] for node in needs}
        self.ready: deque[str] = deque()
        self.open: set[str] = set(needs)
        for node, wanted in needs.items():
            mine = {name for name in wanted if name in self._users and name != node}
            self._left[node] = len(mine)
            for name in mine:
                self._users[name].append(node)
            if not mine:
                self.ready.append(node)

    def done(self, node: str) -> None:
        """A node has become what it should: what waited for it alone is ready."""
        self.open.discard(node)
        for user in self._users[node]:
            self._left[user] -= 1
            if not self._left[user]:
                self.ready.append(user)

    def skip(self, node: str) -> None:
        """A node has failed: what needs it will not be handed out."""
        self.open.discard(node)

    def stop(self) -> None:
        """Nothing more is handed out."""
        self.ready.clear()
        self.open.clear()


def reversed_needs(needs: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The graph for taking apart: a node waits for those that need it. The last made come first."""
    turned: dict[str, list[str]] = {node: [] for node in reversed(list(needs))}
    for node, wanted in needs.items():
        for name in wanted:
            if name in turned and name != node:
                turned[name].append(node)
    return turned
