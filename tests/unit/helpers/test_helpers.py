"""Helper processes: what they answer, how they fail, and that none is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import InProcessCloud, until
from windtunnel.helpers.pool import HelperFailed, Helpers, HelperTimedOut


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    made = Helpers()
    yield made
    made.close()


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_function_runs_in_another_process_which_is_used_again(helpers: Helpers) -> None:
    first, second = helpers.run("os:getpid"), helpers.run("os:getpid")
    assert first == second != os.getpid()
    assert helpers.pids == [first]


def test_arguments_and_results_are_plain_data_in_their_order(helpers: Helpers) -> None:
    given = {"b": [1, None, True, 2.5], "a": {"text": "ü" * 200_000}}
    said = helpers.run("copy:deepcopy", given)
    assert said == given and list(said) == ["b", "a"]


def test_an_error_is_told_and_the_process_goes_on(helpers: Helpers) -> None:
    before = helpers.run("os:getpid")
    with pytest.raises(HelperFailed, match="JSONDecodeError: Expecting property"):
        helpers.run("json:loads", "{")
    assert helpers.run("os:getpid") == before


def test_a_result_that_cannot_be_sent_is_an_error(helpers: Helpers) -> None:
    with pytest.raises(HelperFailed, match="cannot be sent"):
        helpers.run("builtins:int", "9" * 40)
    assert helpers.run("operator:add", 1, 2) == 3


def test_what_is_too_slow_is_ended_and_another_process_goes_on(helpers: Helpers) -> None:
    slow = helpers.run("os:getpid")
    with pytest.raises(HelperTimedOut, match=r"time:sleep took longer than 0\.2 s"):
        helpers.run("time:sleep", 3600, seconds=0.2)
    assert not runs(slow)
    assert helpers.run("os:getpid") != slow


def test_a_process_that_was_killed_is_replaced(helpers: Helpers) -> None:
    dead = helpers.run("os:getpid")
    os.kill(dead, signal.SIGKILL)
    until(lambda: not runs(dead), what="its end")
    assert helpers.run("os:getpid") != dead


def test_what_kills_each_process_that_runs_it_fails(helpers: Helpers) -> None:
    with pytest.raises(HelperFailed, match="died"):
        helpers.run("os:_exit", 3)
    assert helpers.run("operator:add", 1, 2) == 3


def test_no_more_processes_than_are_allowed_and_everyone_is_answered() -> None:
    helpers = Helpers(most=1)
    answers: list[int] = []
    threads = [threading.Thread(target=lambda n=n: answers.append(helpers.run("operator:add", n, 0))) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [0, 1, 2, 3, 4, 5] and len(helpers.pids) == 1
    helpers.close()


def test_an_idle_process_is_ended() -> None:
    helpers = Helpers(idle=0.1)
    pid = helpers.run("os:getpid")
    until(lambda: not helpers.pids, what="no process")
    assert not runs(pid)
    assert helpers.run("os:getpid") != pid
    helpers.close()


def test_closing_ends_what_runs() -> None:
    helpers = Helpers()
    said: list[str] = []

    def wait() -> None:
        try:
            helpers.run("time:sleep", 3600)
        except HelperFailed as error:
            said.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: helpers.pids, what="a process")
    pids = helpers.pids
    helpers.close()
    thread.join(30)
    assert said and not any(runs(pid) for pid in pids)
    with pytest.raises(HelperFailed, match="stopping"):
        helpers.run("os:getpid")


ORPHAN = """
import threading, time
from windtunnel.helpers.pool import Helpers
helpers = Helpers()
threading.Thread(target=helpers.run, args=("time:sleep", 3600), daemon=True).start()
while not helpers.pids:
    time.sleep(0.01)
print(*helpers.pids, flush=True)
time.sleep(3600)
"""


def test_none_outlives_a_server_that_was_killed_also_in_the_middle_of_a_function() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert runs(pid)
        server.kill()
    until(lambda: not runs(pid), what="the helper's end")


def test_it_holds_nothing_of_the_servers(helpers: Helpers, tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        pid = helpers.run("os:getpid")
    held = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert str(tmp_path / "lock") not in held
    assert len([name for name in held if name.startswith("socket:")]) == 2, held


def test_a_cloud_has_them_and_ends_them(tmp_path: Path) -> None:
    with InProcessCloud(tmp_path) as cloud:
        assert cloud.cloud.helpers.pids == []
        pid = cloud.cloud.part("helper").run("os:getpid")
    assert not runs(pid)
