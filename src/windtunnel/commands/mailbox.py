"""`mailbox`: the mail that SNS has sent to addresses, read from the maildir under the data directory."""

from __future__ import annotations

import argparse
import email
import email.policy
import sys
from pathlib import Path

import msgspec

from windtunnel.services.sns.mailbox import DIRECTORY


def main(options: argparse.Namespace) -> int:
    mails = read(options.data / DIRECTORY)
    if options.json:
        print(msgspec.json.encode(mails).decode())
        return 0
    if not mails:
        print("windtunnel: no mail has been sent", file=sys.stderr)
    for mail in mails:
        print(f"{mail['date']}  to {mail['to']}\n{mail['subject']}\n\n{mail['text'].rstrip()}\n\n{'-' * 72}")
    return 0


def read(box: Path) -> list[dict[str, str]]:
    """All mails, oldest first: date, to, subject, text."""
    files = sorted((file for part in ("new", "cur") for file in (box / part).glob("*")), key=lambda file: file.stat().st_mtime)
    found = []
    for file in files:
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        body = mail.get_body(("plain",))
        text = body.get_content() if body is not None else ""
        found.append({"date": str(mail["Date"]), "to": str(mail["To"]), "subject": str(mail["Subject"]), "text": text})
    return found
