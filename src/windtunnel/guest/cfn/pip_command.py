"""`pip` and `pip3`: Debian's, which find that AWS's helper scripts are there already.

Why it exists: templates for Debian and Ubuntu install the helper scripts from an archive of AWS; this image has its own, which speak to
this cloud.

The invariant it keeps: everything but that one archive goes to pip as it was asked.
"""

from __future__ import annotations

import os
import re
import sys

OWN = re.compile(r"(?:\A|/)aws[-_]cfn[-_]bootstrap(?:[-_=~<>!.@ ][^/]*)?/?\Z")


def remaining(argv: list[str]) -> list[str] | None:
    """What is left for pip; None when nothing is. Pure."""
    words = [word for word in argv if not word.startswith("-")]
    if not words or words[0] != "install" or not any(OWN.search(word) for word in words[1:]):
        return argv
    left = [word for word in argv if word.startswith("-") or not OWN.search(word)]
    return left if [word for word in left if not word.startswith("-")] != ["install"] else None


def main() -> int:
    argv = sys.argv[1:]
    left = remaining(argv)
    if left != argv:
        print("Requirement already satisfied: aws-cfn-bootstrap in /opt/aws/bin (this image's own helper scripts)")
    if left is not None:
        os.execv("/usr/bin/pip3", ["/usr/bin/pip3", *left])
    return 0
