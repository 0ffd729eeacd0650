"""Log events: a batch that was acknowledged is there whole, one that was only tried whole or not at all; none twice."""

from __future__ import annotations

import time
from typing import ClassVar

import loads
from loads import Register, ask

BATCH = 7


class Load(loads.Load):
    NEEDS: ClassVar = {("logs", "PutLogEvents"), ("logs", "GetLogEvents")}

    def set_up(self) -> None:
        self.logs = self.client("logs")
        self.logs.create_log_group(logGroupName="/mixed")
        self.batches: dict[str, Register] = {}
        self.begin("first")

    def begin(self, stream: str) -> None:
        ask(self.logs.create_log_stream, logGroupName="/mixed", logStreamName=stream)
        self.stream = stream
        self.batches[stream] = Register()

    def step(self, n: int) -> None:
        if n % 100 == 99:
            self.begin(f"s{n}")
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": f"{n} {line}"} for line in range(BATCH)]
        where = {"logGroupName": "/mixed", "logStreamName": self.stream}
        self.batches[self.stream].change(n, BATCH, self.logs.put_log_events, logEvents=events, **where)

    def look(self, stream: str) -> None:
        lines: list[str] = []
        token = None
        while True:
            more = {} if token is None else {"nextToken": token}
            page = ask(self.logs.get_log_events, logGroupName="/mixed", logStreamName=stream, startFromHead=True, **more)
            lines += [event["message"] for event in page["events"]]
            if page["nextForwardToken"] == token:
                break
            token = page["nextForwardToken"]
        seen: dict[int, list[int]] = {}
        for line in lines:
            batch, number = line.split()
            seen.setdefault(int(batch), []).append(int(number))
        for batch, numbers in seen.items():
            assert numbers == list(range(BATCH)), f"batch {batch} of {stream} is there as {numbers}"
        register = self.batches[stream]
        for batch in {*register, *seen}:
            register.seen(batch, BATCH if batch in seen else loads.ABSENT)

    def verify(self) -> None:
        self.look(self.stream)

    def finish(self) -> None:
        for stream in self.batches:
            self.look(stream)
