"""Mail to this machine's own mailbox: a maildir under the data directory, which any mail program reads, and `windtunnel mailbox`.

Invariant: a mail is written whole or not at all, and once: its file is named by what it tells of.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

DIRECTORY = "mailbox"


def deliver(data: Path, name: str, to: str, subject: str, text: str, at: float) -> str:
    """Write a mail into `DATA/mailbox/new`. name: the same for the same mail, which is then left as it is."""
    from email.message import EmailMessage  # heavy, and for those clouds only that send mail
    from email.utils import format_datetime

    box = data / DIRECTORY
    for part in ("tmp", "new", "cur"):
        (box / part).mkdir(parents=True, exist_ok=True, mode=0o700)
    file = f"{int(at)}.{sha256(name.encode()).hexdigest()[:24]}.windtunnel"
    if (box / "new" / file).exists() or any((box / "cur").glob(f"{file}*")):
        return file
    mail = EmailMessage()
    mail["From"] = "AWS Notifications <no-reply@sns.amazonaws.com>"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    mail["Message-ID"] = f"<{file}@sns.amazonaws.com>"
    mail.set_content(text)
    with (box / "tmp" / file).open("wb") as out:
        out.write(mail.as_bytes())
        out.flush()
        os.fsync(out.fileno())
    os.replace(box / "tmp" / file, box / "new" / file)
    return file
