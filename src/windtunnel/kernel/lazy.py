"""Condition keys that cost a look into the store: found only if a policy's condition asks for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class LazyKeys(Mapping[str, Any]):
    """The context of a Need, made by `find` at the first look and kept: for `…/ExistingObjectTag/…`, `aws:ResourceTag/…` and their like."""

    def __init__(self, find: Callable[[], Mapping[str, Any]]) -> None:
        self._find = find
        self._found: Mapping[str, Any] | None = None

    def _all(self) -> Mapping[str, Any]:
        if self._found is None:
            self._found = self._find()
        return self._found

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
