"""The rules and archives of a bus, compiled once and found by what their patterns name exactly.

Invariants: what is kept rests on the records that the asking transaction sees, for it is kept under the generation that it reads;
ids are never reused, so a write that was rolled back leaves nothing that anybody asks for. The index only ever leaves rules out that
cannot match: whoever is found is matched whole.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from windtunnel.kernel.cloud import Cloud
from windtunnel.kernel.context import Context
from windtunnel.services.events.model import Archive, Generation, Rule
from windtunnel.services.events.patterns import Matcher, compile_pattern, exact_texts

T = TypeVar("T")
_SCOPES_KEPT = 64
Path = tuple[str, ...]


def _everything(_: dict[str, Any]) -> bool:
    return True


@lru_cache(maxsize=2048)
def _exact(pattern: str) -> dict[Path, frozenset[str]]:
    """Kept, for a stack that makes rules has all rules looked at again after each batch."""
    return exact_texts(json.loads(pattern)) if pattern else {}


class Matching(Generic[T]):
    """Things with patterns, asked for those that match an event. The cost follows what may match, not how many there are."""

    def __init__(self, things: Iterable[tuple[str, T]]) -> None:
        """(pattern's JSON text or "" for everything, thing), in the order in which they are to be found."""
        self._all: list[tuple[Matcher, T]] = []
        self._tables: dict[Path, dict[str, list[int]]] = {}
        self._others: list[int] = []
        exact: list[dict[Path, frozenset[str]]] = []
        for pattern, thing in things:
            self._all.append((compile_pattern(pattern) if pattern else _everything, thing))
            exact.append(_exact(pattern))
        self._index(exact)

    def _index(self, exact: list[dict[Path, frozenset[str]]]) -> None:
        """Each thing stands under the one field that it shares with the fewest others."""
        shared: Counter[tuple[Path, Hashable]] = Counter(
            (path, text) for fields in exact for path, texts in fields.items() for text in texts
        )
        for number, fields in enumerate(exact):
            if not fields:
                self._others.append(number)
                continue
            path = min(fields, key=lambda path: (max(shared[path, text] for text in fields[path]), len(path), path))
            table = self._tables.setdefault(path, {})
            for text in fields[path]:
                table.setdefault(text, []).append(number)

    def of(self, event: dict[str, Any]) -> list[T]:
        """What matches the event (an envelope)."""
        possible = list(self._others)
        for path, table in self._tables.items():
            for text in texts_at(event, path, 0):
                possible += table.get(text, ())
        if not possible:
            return []
        return [self._all[number][1] for number in sorted(set(possible)) if self._all[number][0](event)]


def texts_at(value: Any, path: Path, depth: int) -> list[str]:
    """Every text under a path, also through lists: all that an exact value there could be compared with."""
    while depth < len(path):
        if isinstance(value, dict):
            value = value.get(path[depth])
            depth += 1
        elif isinstance(value, list):
            return [text for element in value if isinstance(element, dict) for text in texts_at(element, path, depth)]
        else:
            return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for element in value for text in texts_at(element, path, depth)]
    return []


class BusRules:
    """What an event on a bus meets."""

    __slots__ = ("_sources", "archives", "rules")

    def __init__(self, rules: list[Rule], archives: list[Archive]) -> None:
        self.rules: Matching[Rule] = Matching((rule.pattern, rule) for rule in rules)
        self.archives: Matching[Archive] = Matching((archive.pattern, archive) for archive in archives)
        patterns = [rule.pattern for rule in rules] + [archive.pattern for archive in archives]
        named = [_exact(pattern).get(("source",)) for pattern in patterns]
        self._sources = None if None in named else frozenset(source for sources in named for source in sources or ())

    def hears(self, source: str) -> bool:
        """Whether one of them may want an event of this source."""
        return self._sources is None or source in self._sources


NOTHING = BusRules([], [])
_kept: WeakKeyDictionary[Cloud, dict[tuple[str, str], tuple[str, dict[str, BusRules]]]] = WeakKeyDictionary()


def rules_on(ctx: Context, bus: str) -> BusRules:
    """The rules (enabled, with a pattern) and archives of a bus in ctx's scope."""
    current = ctx.tx.get(Generation, "current")
    if current is None:  # nothing was ever written here, unless by a release that kept no generation
        return _load(ctx).get(bus, NOTHING)
    kept = _kept.setdefault(ctx.cloud, {})
    scope = (ctx.scope.account, ctx.scope.region)
    known = kept.get(scope)
    if known is None or known[0] != current.id:
        if len(kept) >= _SCOPES_KEPT:
            kept.clear()
        known = kept[scope] = (current.id, _load(ctx))
    return known[1].get(bus, NOTHING)


def _load(ctx: Context) -> dict[str, BusRules]:
    rules = _by_bus(ctx.tx.find(Rule, "matching", "yes"), lambda rule: rule.bus)
    archives = _by_bus(ctx.tx.scan(Archive), lambda archive: archive.bus)
    return {bus: BusRules(rules.get(bus, []), archives.get(bus, [])) for bus in {*rules, *archives}}


def _by_bus(found: list[T], bus: Callable[[T], str]) -> dict[str, list[T]]:
    sorted_out: dict[str, list[T]] = {}
    for thing in found:
        sorted_out.setdefault(bus(thing), []).append(thing)
    return sorted_out


def changed(ctx: Context) -> None:
    """To be called by whoever writes a rule or an archive: what was compiled before counts no more."""
    ctx.tx.put(Generation(id=ctx.ids.hex(32)))
