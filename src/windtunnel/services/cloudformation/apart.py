"""Where a template is read: here when it is small, in a helper process when reading it would keep the server from answering others.

Invariant: the caller is told the same either way; a template that takes too long is refused, and nothing hangs on it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from windtunnel.helpers.pool import HelperFailed, HelperTimedOut
from windtunnel.kernel.context import Context
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.typed import convert
from windtunnel.services.cloudformation.language.environment import Environment
from windtunnel.services.cloudformation.language.errors import TemplateError

JSON_HERE, YAML_HERE = 16 * 1024, 4 * 1024
"""Characters up to which a template is read here: one or two milliseconds."""
SECONDS = 20.0
_MODULE = "windtunnel.services.cloudformation.reading"


def is_big(text: str) -> bool:
    return len(text) > (JSON_HERE if text.lstrip()[:1] == "{" else YAML_HERE)


def apart(ctx: Context, function: str, *args: Any, seconds: float = SECONDS) -> Any:
    """A pure function (`module:function`) in a helper process. Raises AwsError when it does not come to an end."""
    try:
        return ctx.cloud.part("helper").run(function, *args, seconds=seconds)
    except HelperTimedOut:
        raise AwsError("ValidationError", f"Template error: the template could not be processed within {seconds:g} seconds") from None
    except HelperFailed:
        if ctx.cloud.part("closing").is_set():
            raise AwsError("ServiceUnavailable", "The cloud is stopping.", status=503) from None
        raise


def _read(ctx: Context, function: str, *args: Any) -> Any:
    from windtunnel.services.cloudformation.reading import Opened, Understood

    said: dict[str, Any] = apart(ctx, f"{_MODULE}:{function}", *args)
    (kind, found), *_ = said.items()
    if kind == "error":
        raise AwsError(*found)
    types: dict[str, Any] = {"Opened": Opened, "Understood": Understood}
    return convert(found, types[kind]) if kind in types else found


def whole(
    ctx: Context, text: str, given: list[dict[str, Any]], before: dict[str, str] | None, capabilities: list[str] | None, env: Environment
) -> Any:
    """`reading.whole`, here or there. Raises AwsError."""
    if is_big(text):
        return _read(ctx, "whole_apart", text, given, before, capabilities, msgspec.to_builtins(env))
    from windtunnel.services.cloudformation import reading

    try:
        return reading.whole(text, given, before, capabilities, env)
    except TemplateError as error:
        raise AwsError("ValidationError", error.message) from None


def rest(
    ctx: Context, opened: Any, processed: str, ssm: dict[str, str], capabilities: list[str] | None, env: Environment, *, changed: bool
) -> Any:
    """`reading.rest`, here or there. Raises AwsError."""
    if is_big(processed):
        plain, where = msgspec.to_builtins(opened), msgspec.to_builtins(env)
        return _read(ctx, "rest_apart", plain, processed, ssm, capabilities, where, changed)
    from windtunnel.services.cloudformation import reading

    try:
        return reading.rest(opened, processed, ssm, capabilities, env, changed=changed)
    except TemplateError as error:
        raise AwsError("ValidationError", error.message) from None


def summed_up(ctx: Context, text: str, *, lenient: bool = False) -> dict[str, Any]:
    """`reading.summed_up`, here or there. Raises AwsError."""
    if is_big(text):
        there: dict[str, Any] = _read(ctx, "summed_up_apart", text, lenient)
        return there
    from windtunnel.services.cloudformation import reading

    try:
        return reading.summed_up(text, lenient)
    except TemplateError as error:
        raise AwsError("ValidationError", error.message) from None
