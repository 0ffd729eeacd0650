"""Delivery policies of HTTP endpoints: how often, and after which waits, a delivery is tried again. Pure.

Source: Developer Guide, Amazon SNS message delivery retries (phases: immediate, pre-backoff, backoff, post-backoff).
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.kernel.errors import AwsError, not_built

DEFAULTS: dict[str, Any] = {
    "minDelayTarget": 20,
    "maxDelayTarget": 20,
    "numRetries": 3,
    "numMaxDelayRetries": 0,
    "numNoDelayRetries": 0,
    "numMinDelayRetries": 0,
    "backoffFunction": "linear",
}
CONTENT_TYPE = "text/plain; charset=UTF-8"
BACKOFFS = ("linear", "arithmetic", "geometric", "exponential")
MAX_DELAY, MAX_RETRIES = 3_600, 100


def _wrong(what: str) -> AwsError:
    return AwsError("InvalidParameter", f"Invalid parameter: DeliveryPolicy: {what}")


def parse_policy(text: str, *, topic: bool) -> dict[str, Any]:
    """{"retry": …, "type": …} of a topic's or a subscription's policy; InvalidParameter when it is none."""
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise _wrong("failed to parse JSON.") from None
    if not isinstance(decoded, dict):
        raise _wrong("it must be an object")
    if topic:
        if set(decoded) != {"http"} or not isinstance(decoded["http"], dict):
            raise _wrong("Unexpected JSON member" if decoded else "it must have a member http")
        decoded = decoded["http"]
    names = (
        ("defaultHealthyRetryPolicy", "defaultRequestPolicy", "defaultThrottlePolicy")
        if topic
        else ("healthyRetryPolicy", "requestPolicy", "throttlePolicy")
    )
    known = {*names, "disableSubscriptionOverrides"} if topic else {*names, "sicklyRetryPolicy", "guaranteed"}
    unknown = sorted(set(decoded) - known)
    if unknown:
        raise _wrong(f"Unexpected JSON member: {unknown[0]}")
    retry, request, throttle = (decoded.get(name) or {} for name in names)
    if not isinstance(retry, dict) or not isinstance(request, dict) or not isinstance(throttle, dict):
        raise _wrong("a policy must be an object")
    if decoded.get("sicklyRetryPolicy"):
        raise not_built("sns", "DeliveryPolicy", "sicklyRetryPolicy")
    _check_retry({**DEFAULTS, **retry}, set(retry))
    return {
        "retry": retry,
        "type": request.get("headerContentType"),
        "rate": _checked_rate(throttle),
        "final": bool(decoded.get("disableSubscriptionOverrides")),
    }


def _checked_rate(throttle: dict[str, Any]) -> int | None:
    """Deliveries a second, on average, to one subscription; None: as many as there are."""
    unknown = sorted(set(throttle) - {"maxReceivesPerSecond"})
    if unknown:
        raise _wrong(f"Unexpected JSON member: {unknown[0]}")
    rate = throttle.get("maxReceivesPerSecond")
    if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int) or rate < 1):
        raise _wrong("maxReceivesPerSecond must be an integer of at least 1")
    return rate


def _check_retry(retry: dict[str, Any], given: set[str]) -> None:
    unknown = sorted(given - set(DEFAULTS))
    if unknown:
        raise _wrong(f"Unexpected JSON member: {unknown[0]}")
    numbers = [name for name in DEFAULTS if name != "backoffFunction"]
    if any(isinstance(retry[name], bool) or not isinstance(retry[name], int) or retry[name] < 0 for name in numbers):
        raise _wrong("numbers of retries and delays must be integers, and not negative")
    if retry["backoffFunction"] not in BACKOFFS:
        raise _wrong(f"backoffFunction must be one of {', '.join(BACKOFFS)}")
    if not 1 <= retry["minDelayTarget"] <= retry["maxDelayTarget"] <= MAX_DELAY:
        raise _wrong(f"minDelayTarget and maxDelayTarget must be between 1 and {MAX_DELAY}, the first not greater than the second")
    if retry["numRetries"] > MAX_RETRIES:
        raise _wrong(f"numRetries must be at most {MAX_RETRIES}")
    if retry["numNoDelayRetries"] + retry["numMinDelayRetries"] + retry["numMaxDelayRetries"] > retry["numRetries"]:
        raise _wrong("numRetries must be at least the sum of the retries of its phases")


def effective(topic: str | None, subscription: str | None = None) -> dict[str, Any]:
    """The policy that is applied, with all defaults, as GetTopicAttributes shows it."""
    above = parse_policy(topic, topic=True) if topic else {"retry": {}, "type": None, "rate": None, "final": False}
    below = parse_policy(subscription, topic=False) if subscription and not above["final"] else {"retry": {}, "type": None, "rate": None}
    rate = below["rate"] or above["rate"]
    return {
        "http": {
            "defaultHealthyRetryPolicy": {**DEFAULTS, **above["retry"], **below["retry"]},
            "disableSubscriptionOverrides": above["final"],
            "defaultRequestPolicy": {"headerContentType": below["type"] or above["type"] or CONTENT_TYPE},
            **({"defaultThrottlePolicy": {"maxReceivesPerSecond": rate}} if rate else {}),
        }
    }


def delays(retry: dict[str, Any]) -> list[float]:
    """Seconds to wait before each retry, in order."""
    low, high = float(retry["minDelayTarget"]), float(retry["maxDelayTarget"])
    between = retry["numRetries"] - retry["numNoDelayRetries"] - retry["numMinDelayRetries"] - retry["numMaxDelayRetries"]
    return [
        *[0.0] * retry["numNoDelayRetries"],
        *[low] * retry["numMinDelayRetries"],
        *(_backoff(retry["backoffFunction"], low, high, n, between) for n in range(between)),
        *[high] * retry["numMaxDelayRetries"],
    ]


def _backoff(function: str, low: float, high: float, number: int, count: int) -> float:
    """Between the least delay, at the first, and the greatest, at the last; the functions differ in how soon they grow."""
    part = number / (count - 1) if count > 1 else 0.0
    if function == "exponential":
        return float(low * (high / low) ** part)
    if function == "geometric":
        return low + (high - low) * part**2
    if function == "arithmetic":
        return low + (high - low) * part * (count * part + 1) / (count + 1) if count > 1 else low
    return low + (high - low) * part
