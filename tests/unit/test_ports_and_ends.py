"""A port that is taken is named; `down` says when there is nothing to end."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

import pytest

from windtunnel.commands import down
from windtunnel.server import PortRefused, bind


def test_a_port_that_is_taken_is_named() -> None:
    with bind(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortRefused, match=f"^port {port} is taken by another program$"):
            bind(port)


def test_any_free_port_is_found() -> None:
    with bind(0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1" and sock.type == socket.SOCK_STREAM


@pytest.mark.parametrize("there", [True, False])
def test_down_says_that_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool) -> None:
    data = tmp_path if there else tmp_path / "none"
    assert down.main(argparse.Namespace(data=data)) == 1
    assert capsys.readouterr().err == f"windtunnel: no cloud runs on {data}\n"
