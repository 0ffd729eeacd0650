"""What the first resource of a type costs (reading its schema, and the models of the operations it calls) is paid in a thread, before a transaction is open.

Invariants: nothing is changed and nothing here is needed: whoever is not warmed is compiled at its first use. A type is warmed once; a service's model
(EC2's takes 80 ms to read) is read once for all types of a template, and let go a little later: an idle server holds no models.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from windtunnel.provision import calling
from windtunnel.provision.registry import handler
from windtunnel.provision.schemas import schema
from windtunnel.wire.models import ServiceModel, UnknownService, load_service

LINGER = 20.0
"""Seconds for which models stay in memory after a template's types were warmed: what handlers call that no type has named is compiled from them then."""
_warmed: set[str] = set()


def warm(type_names: Iterable[str]) -> None:
    """Load these types' schemas, handlers and calls; call it in a thread when a template's types are known."""
    names = sorted(set(type_names))
    held = _models(name for name in names if name not in _warmed and handler(name) is not None)
    for name in names:
        schema(name)
        if name not in _warmed:
            ready = getattr(handler(name), "warm", None)
            if ready is not None:
                ready()
            _warmed.add(name)
    if held:
        _let_go_later(held)


def cool() -> None:
    """As in a process that has warmed nothing yet."""
    _warmed.clear()
    calling.forget()


def _models(type_names: Iterable[str]) -> list[ServiceModel]:
    """The models of the types' services: `load_service` keeps them for as long as someone holds them."""
    held = []
    for service in sorted({name.split("::")[1].lower() for name in type_names if name.startswith("AWS::")}):
        try:
            held.append(load_service(service))
        except UnknownService:
            continue
    return held


def _let_go_later(held: list[ServiceModel]) -> None:
    timer = threading.Timer(LINGER, held.clear)
    timer.daemon = True
    timer.start()
