"""A helper process: runs one function after the other for the server that started it, and ends with it.

Invariants: standard input is the one way in and out, a socket of which the server has the other end; when that is closed, in whatever way the server
has ended, this process ends at once, also in the middle of a function. It holds nothing that is not in the message: functions are pure.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import socket
import threading
import traceback
from queue import SimpleQueue
from typing import Any

from windtunnel.helpers import frames

MEMORY = 2 << 30
"""Address space in bytes: what asks for more fails, and not the machine."""


def found(name: str) -> Any:
    """The function `module:function`. Names come from the server's own code, never from a request."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def answer(name: str, args: list[Any]) -> list[Any]:
    try:
        return [True, found(name)(*args)]
    except Exception as error:  # the helper's edge: what a function did not foresee is told to whoever asked for it
        said = "".join(traceback.format_exception_only(error)).strip()
        return [False, said, "".join(traceback.format_exception(error))]


def listen(sock: socket.socket, asked: SimpleQueue[Any]) -> None:
    """Take messages in, and notice that the server is gone while a function runs."""
    try:
        while True:
            asked.put(frames.receive(sock))
    except (OSError, EOFError):
        os._exit(0)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the server ends in its own order, and its helpers with it
    sock = socket.socket(fileno=os.dup(0))
    asked: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=listen, args=(sock, asked), daemon=True).start()
    while True:
        name, args = asked.get()
        said = answer(name, args)
        try:
            frames.send(sock, said)
        except OSError:
            os._exit(0)
        except (TypeError, ValueError, OverflowError) as error:  # a value that msgpack has no form for
            frames.send(sock, [False, f"{name} gave back what cannot be sent: {error}", ""])


if __name__ == "__main__":
    main()
