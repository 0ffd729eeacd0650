"""The labs run: the document's own blocks, by real clients, with and without pulling the plug, and under other names."""

from __future__ import annotations

import pytest

from sandboxes import needs_sandboxes
from windtunnel.labs.cloud import ensure_image
from windtunnel.labs.document import blocks
from windtunnel.labs.runner import document, names, run_lab

DOCUMENT = """# A lab
## One
```bash
echo a
```
Prose with `code`, and a block that is not run:

    not run

```json
{}
```
### Two
```bash crash
kill
```
"""


def test_only_shell_blocks_are_run_and_they_know_their_heading() -> None:
    found = blocks(DOCUMENT)
    assert [(block.number, block.title, block.text, block.crash) for block in found] == [
        (1, "One", "echo a\n", False),
        (2, "Two", "kill\n", True),
    ]


def test_every_lab_has_blocks_and_assertions() -> None:
    for lab in names():
        text = document(lab).read_text()
        assert any("assert" in block.text for block in blocks(text)), f"{lab} asserts nothing"


@pytest.mark.slow
@needs_sandboxes
@pytest.mark.parametrize(
    ("crash", "settings"),
    [
        pytest.param(False, {}, id="as it is written"),
        pytest.param(True, {"APP": "shop", "PORT": "9191"}, id="under other names, killed in the build and in the deployment"),
    ],
)
def test_the_release_lab_passes(crash: bool, settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    ensure_image()
    outcome = run_lab("release", crash=crash, keep=False, settings=settings)
    assert outcome.passed, f"{outcome.reason or outcome.failed}\n{capsys.readouterr().out[-4000:]}"
    assert outcome.held >= 25


@pytest.mark.slow
@needs_sandboxes
@pytest.mark.parametrize(
    ("crash", "settings"),
    [
        pytest.param(False, {}, id="as it is written"),
        pytest.param(True, {"APP": "shop"}, id="under another name, killed while the stack is made and while it is rolled back"),
    ],
)
def test_lab_1_passes(crash: bool, settings: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    ensure_image()
    outcome = run_lab("1", crash=crash, keep=False, settings=settings)
    assert outcome.passed, f"{outcome.reason or outcome.failed}\n{capsys.readouterr().out[-4000:]}"
    assert outcome.held >= 25
