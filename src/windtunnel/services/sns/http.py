"""HTTP(S) to an endpoint: one POST, without redirects, in bounded time. For effects only."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 15.0
AGENT = "Amazon Simple Notification Service Agent"


def post(url: str, headers: Mapping[str, str], body: str, authority: Path | None) -> tuple[bool, bool, str]:
    """(delivered, worth trying again, what happened). authority: a CA that is trusted beside the machine's own."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    import http.client  # heavy, and for those clouds only that call out

    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            if authority is not None and authority.exists():
                context.load_verify_locations(authority)
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        try:
            connection.request("POST", path, body.encode(), {"User-Agent": AGENT, **headers})
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, True, f"{type(error).__name__}: {error}"
    if 200 <= status < 300:
        return True, False, f"HTTP {status}"
    # Developer Guide, Message delivery retries: client errors are permanent, but for 429.
    return False, status >= 500 or status == 429, f"HTTP {status}"
