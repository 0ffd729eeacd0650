"""What the first resource of a type costs (reading its schema, and the models of the operations it calls) is paid in a thread, before a transaction is open.

Invariant: nothing is changed and nothing here is needed: whoever is not warmed is compiled at its first use.
"""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.provision.registry import handler
from windtunnel.provision.schemas import schema


def warm(type_names: Iterable[str]) -> None:
    """Load these types' schemas, handlers and calls; call it in a thread when a template's types are known."""
    for name in sorted(set(type_names)):
        schema(name)
        found = handler(name)
        ready = getattr(found, "warm", None)
        if ready is not None:
            ready()
