"""What the checks write down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
Mend = Callable[[], None]


class Finding:
    """level: "error" is loss or damage, "warning" can become one, "note" costs space only. mend: puts it right, if that can be done."""

    def __init__(self, level: Level, check: str, subject: str, what: str, advice: str, mend: Mend | None) -> None:
        self.level = level
        self.check = check
        self.subject = subject
        self.what = what
        self.advice = advice
        self.mend = mend
        self.mended = False

    def line(self) -> str:
        do = "mended" if self.mended else self.advice
        return f"{self.level}: {self.check}: {self.subject}: {self.what}" + (f"; {do}" if do else "")

    def plain(self) -> dict[str, Any]:
        names = ("level", "check", "subject", "what", "advice", "mended")
        return {name: getattr(self, name) for name in names} | {"mendable": self.mend is not None}


REPAIR = "`windtunnel doctor --repair` mends it while the cloud is down"
RESTORE = "go back with `windtunnel snapshot load NAME --replace`"


class Case:
    """One data directory under examination. looked: how much each check saw. blobs: what records name, whatever their index rows say."""

    def __init__(self, data: Path, running: bool) -> None:
        self.data = data
        self.running = running
        self.findings: list[Finding] = []
        self.looked: dict[str, int] = {}
        self.blobs: dict[str, list[str]] = {}

    def error(self, check: str, subject: str, what: str, advice: str, mend: Mend | None = None) -> None:
        self.findings.append(Finding("error", check, subject, what, advice, mend))

    def warning(self, check: str, subject: str, what: str, advice: str, mend: Mend | None = None) -> None:
        self.findings.append(Finding("warning", check, subject, what, advice, mend))

    def note(self, check: str, subject: str, what: str, advice: str = "", mend: Mend | None = None) -> None:
        self.findings.append(Finding("note", check, subject, what, advice, mend))

    @property
    def troubles(self) -> list[Finding]:
        """What is neither a note nor mended."""
        return [finding for finding in self.findings if finding.level != "note" and not finding.mended]
