"""Whose process is it."""

from __future__ import annotations

import os

from windtunnel.guest import procs
from windtunnel.guest.procs import Process


def rows(*processes: tuple[int, int, int]) -> dict[int, Process]:
    return {pid: Process(pid, parent, session, pid, "S") for pid, parent, session in processes}


def test_members_are_known_ones_their_sessions_and_all_their_descendants() -> None:
    table = rows((1, 0, 1), (10, 1, 10), (11, 10, 10), (12, 11, 12), (13, 1, 10), (20, 1, 20), (21, 20, 20))
    assert procs.members(table, {10: 10}, {10}, set()).keys() == {10, 11, 12, 13}


def test_a_pid_that_is_used_again_is_somebody_else() -> None:
    assert procs.members(rows((10, 1, 99)), {10: 7}, set(), set()) == {}


def test_another_services_main_process_and_its_children_are_not_ours() -> None:
    table = rows((10, 1, 10), (11, 10, 11), (12, 11, 12))
    assert procs.members(table, {10: 10}, {10}, {11}).keys() == {10}


def test_zombies_and_init_do_not_count() -> None:
    table = {1: Process(1, 0, 1, 0, "S"), 10: Process(10, 1, 10, 10, "Z")}
    assert procs.members(table, {1: 0, 10: 10}, {1, 10}, set()) == {}


def test_adopted_are_init_s_new_children_that_nobody_claims() -> None:
    assert procs.adopted(rows((5, 1, 5), (10, 1, 10), (11, 1, 11), (12, 11, 11)), since=6, taken={10}) == [11]


def test_this_process_is_read_from_the_real_table() -> None:
    me = procs.read(os.getpid())
    assert me is not None
    assert (me.parent, me.session) == (os.getppid(), os.getsid(0))
    assert me.started <= procs.ticks_now()
    assert procs.table()[os.getpid()] == me
