"""A lab's document: headings, prose, and the shell blocks that both a person and `./windtunnel labs` run. Pure.

Invariant: what is run is exactly what is printed. Blocks fenced as ```bash are run in order, in one shell; ```bash crash blocks
only when the cloud is to be killed on the way.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FENCE = re.compile(r"^```bash(?P<word> crash)?[ \t]*\n(?P<text>.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """title: the heading above it; number: its place in the document, from 1; crash: only for runs that kill the cloud."""

    number: int
    title: str
    text: str
    crash: bool


def blocks(markdown: str) -> list[Block]:
    """The document's shell blocks, in order."""
    headings = [(found.start(), found[1].strip()) for found in _HEADING.finditer(markdown)]
    result = []
    for number, found in enumerate(_FENCE.finditer(markdown), 1):
        above = [title for start, title in headings if start < found.start()]
        result.append(Block(number, above[-1] if above else "", found["text"], found["word"] is not None))
    return result
