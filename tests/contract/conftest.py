"""The drivers' machines: one for each test and driver, with nothing left of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driver_lab import Machine, machine


@pytest.fixture(scope="session")
def stock_layers() -> Callable[[], list[Path]]:
    """The stock image's layers, built on first need."""

    def layers() -> list[Path]:
        from windtunnel.compute.image import Images

        return Images(progress=print).rootfs("stock")

    return layers


@pytest.fixture(params=["dummy", pytest.param("process", marks=pytest.mark.slow), pytest.param("runc", marks=pytest.mark.slow)])
def lab(request: pytest.FixtureRequest, tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> Iterator[Machine]:
    """A machine of every driver."""
    with machine(request.param, tmp_path, stock_layers) as made:
        yield made


@pytest.fixture(params=[pytest.param("process", marks=pytest.mark.slow), pytest.param("runc", marks=pytest.mark.slow)])
def real_lab(request: pytest.FixtureRequest, tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> Iterator[Machine]:
    """A machine of every driver that runs real programs."""
    with machine(request.param, tmp_path, stock_layers) as made:
        yield made


@pytest.fixture(params=[pytest.param("runc", marks=pytest.mark.slow)])
def runc_lab(request: pytest.FixtureRequest, tmp_path: Path, stock_layers: Callable[[], list[Path]]) -> Iterator[Machine]:
    with machine(request.param, tmp_path, stock_layers) as made:
        yield made
