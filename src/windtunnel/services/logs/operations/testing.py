"""TestMetricFilter: what a pattern matches, and what it takes out of each message."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.logs.extracting import extractor
from windtunnel.services.logs.patterns import compile_pattern


def on_test(ctx: Context, **_: Any) -> list[Need]:
    return [Need("logs:TestMetricFilter", "*")]


@reads("logs", "TestMetricFilter", authorize=on_test, acts="filterPattern logEventMessages[]", cost="scan")
def test_metric_filter(ctx: Context, filter_pattern: str, log_event_messages: list[str]) -> Reply:
    matches, extract = compile_pattern(filter_pattern), extractor(filter_pattern)
    found = [
        {"eventNumber": number, "eventMessage": message, "extractedValues": extract(message)}
        for number, message in enumerate(log_event_messages, 1)
        if matches(message)
    ]
    return {"matches": found}
