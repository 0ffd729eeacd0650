"""Stacks that turn back: a creation that fails is undone whole, an update that fails leaves exactly what was."""

from __future__ import annotations

from typing import Any

from doomed import patiently

from scenarios.cloudformation import GROUP, Clients, group, queue

JOBS = ("cloudformation.operation",)


def broken(*needs: str) -> dict[str, Any]:
    return {"Type": GROUP, "Properties": {"Nonsense": "1"}, "DependsOn": list(needs)}


class Scenario(Clients):
    def go(self, nonce: str) -> None:
        nonce = f"stack-{nonce}"
        bad = f"{nonce}-bad"
        body = {"Resources": {"A": group(f"{bad}-a"), "B": queue(f"{bad}-b", "A"), "X": broken("B")}}
        assert self.create(bad, body) == "ROLLBACK_COMPLETE"
        assert self.everything(bad) == []
        good = f"{nonce}-good"
        assert self.create(good, {"Resources": {"A": group(f"{good}-a"), "B": queue(f"{good}-b")}}) == "CREATE_COMPLETE"
        changed = {"A": group(f"{good}-a", 3), "B": queue(f"{good}-b2", "A"), "C": group(f"{good}-c"), "X": broken("A", "B", "C")}
        assert self.update(good, {"Resources": changed}, f"{good}-update") == "UPDATE_ROLLBACK_COMPLETE"
        assert self.everything(good) == [f"{good}-a", f"{good}-b"]
        found = patiently(lambda: self.logs.describe_log_groups(logGroupNamePrefix=f"{good}-a"))["logGroups"]
        assert found[0]["retentionInDays"] == 1
        for name in (bad, good):
            self.delete(name)
        assert self.everything(nonce) == []
