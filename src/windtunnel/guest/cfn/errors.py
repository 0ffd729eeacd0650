"""What ends a helper script, in words for the person who reads its log."""

from __future__ import annotations


class Failed(Exception):
    """The step cannot be carried out; the text names what it was about."""
