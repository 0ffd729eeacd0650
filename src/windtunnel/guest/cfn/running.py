"""Running programs for cfn-init, their output in cfn-init-cmd.log.

The invariant it keeps: nothing waits for input, and what a program wrote is in the log also when it failed.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from windtunnel.guest.cfn.errors import Failed
from windtunnel.guest.cfn.logs import Log

Words = Sequence[str] | str
"""A command: words, or a line for the shell."""
RULE = "-" * 60


class Done(NamedTuple):
    code: int
    output: str


def run(command: Words, log: Log, env: Mapping[str, str] | None = None, cwd: str | None = None) -> Done:
    """env: the whole environment, the caller's own when None. A line is run by the shell that Amazon Linux has as `sh`: bash."""
    shell = isinstance(command, str)
    words = ["sh", "-c", command] if isinstance(command, str) else [str(word) for word in command]
    if not words:
        raise Failed("the command is empty")
    try:
        done = subprocess.run(
            words,
            executable="/bin/bash" if shell else None,
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise Failed(f"{error.filename or words[0]}: {error.strerror}") from None
    output = done.stdout.decode("utf-8", "replace")
    if output:
        log.info("Command Output".center(60, "-"))
        log.info("\n".join(f"\t{line}" for line in output.splitlines()))
        log.info(RULE)
    return Done(done.returncode, output)


def must(command: Words, log: Log, what: str, env: Mapping[str, str] | None = None) -> Done:
    """Raises Failed, with the end of what it wrote, when it fails."""
    done = run(command, log, env)
    if done.code:
        said = " ".join(done.output.split()[-40:])
        raise Failed(f"{what} (exit code {done.code}): {said}" if said else f"{what} (exit code {done.code})")
    return done
