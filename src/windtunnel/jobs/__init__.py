"""Durable work: `@job` functions over named steps (run.py), driven and found again after a crash by the engine (engine.py)."""

from windtunnel.jobs.run import Cancelled, Run, job

__all__ = ["Cancelled", "Run", "job"]
