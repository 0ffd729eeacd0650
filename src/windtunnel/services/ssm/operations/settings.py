"""GetServiceSetting, UpdateServiceSetting, ResetServiceSetting: those of Parameter Store. What others ask for is refused by name.

Invariant: a setting that can be changed acts: the default tier is the tier of every parameter that is written without one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.context import Authorize, Context, Need, Reply
from windtunnel.kernel.errors import AwsError, not_built
from windtunnel.kernel.records import Record, RecordScope
from windtunnel.kernel.registry import reads, writes
from windtunnel.kernel.scope import Arn

DEFAULT_TIER = "/ssm/parameter-store/default-parameter-tier"
_THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"
_DEFAULTS = {DEFAULT_TIER: "Standard", _THROUGHPUT: "false"}
_VALUES = {DEFAULT_TIER: ("Standard", "Advanced", "Intelligent-Tiering"), _THROUGHPUT: ("true", "false")}
_INTRODUCED = 1_550_000_000.0


class Setting(Record, kw_only=True):
    """A setting that was changed; modified in epoch seconds, user the ARN of who did it."""

    KIND: ClassVar[str] = "ssm.setting"
    SCOPE: ClassVar[RecordScope] = "region"
    ONCE: ClassVar[bool] = True

    id: str
    value: str
    modified: float
    user: str

    def key(self) -> str:
        return self.id


def setting_id(text: str) -> str:
    """A setting's id, from itself or its ARN."""
    arn = Arn.parse(text)
    return text if arn is None else arn.resource.removeprefix("servicesetting")


def on_setting(action: str) -> Authorize:
    def authorize(ctx: Context, setting_id: str, **_: Any) -> list[Need]:
        return [Need(f"ssm:{action}", _arn(ctx, setting_id))]

    return authorize


def _arn(ctx: Context, text: str) -> str:
    return ctx.arn("ssm", f"servicesetting{setting_id(text)}")


def _known(operation: str, text: str) -> str:
    found = setting_id(text)
    if found not in _DEFAULTS:
        if not found.startswith("/ssm/"):
            raise AwsError("ServiceSettingNotFound", f"{text} is not a service setting.")
        raise not_built("ssm", operation, f"SettingId {found}")
    return found


def _shown(ctx: Context, name: str) -> dict[str, Any]:
    setting = ctx.tx.get(Setting, name)
    return {
        "SettingId": name,
        "SettingValue": setting.value if setting is not None else _DEFAULTS[name],
        "LastModifiedDate": setting.modified if setting is not None else _INTRODUCED,
        "LastModifiedUser": setting.user if setting is not None else "System",
        "ARN": _arn(ctx, name),
        "Status": "Customized" if setting is not None else "Default",
    }


def default_tier(ctx: Context) -> str:
    setting = ctx.tx.get(Setting, DEFAULT_TIER)
    return setting.value if setting is not None else _DEFAULTS[DEFAULT_TIER]


@reads("ssm", "GetServiceSetting", authorize=on_setting("GetServiceSetting"), acts="SettingId")
def get_service_setting(ctx: Context, setting_id: str) -> Reply:
    return {"ServiceSetting": _shown(ctx, _known("GetServiceSetting", setting_id))}


@writes("ssm", "UpdateServiceSetting", authorize=on_setting("UpdateServiceSetting"), acts="SettingId SettingValue")
def update_service_setting(ctx: Context, setting_id: str, setting_value: str) -> Reply:
    name = _known("UpdateServiceSetting", setting_id)
    if setting_value not in _VALUES[name]:
        raise AwsError("ValidationException", f"The value of {name} must be one of {', '.join(_VALUES[name])}.")
    ctx.tx.put(Setting(id=name, value=setting_value, modified=ctx.now, user=ctx.principal.arn))
    return {}


@writes("ssm", "ResetServiceSetting", authorize=on_setting("ResetServiceSetting"), acts="SettingId")
def reset_service_setting(ctx: Context, setting_id: str) -> Reply:
    name = _known("ResetServiceSetting", setting_id)
    ctx.tx.delete(Setting, name)
    return {"ServiceSetting": _shown(ctx, name)}
