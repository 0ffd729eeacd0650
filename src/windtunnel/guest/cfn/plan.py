"""Which config keys a call of cfn-init works through, in which order. Pure.

The invariant it keeps: everything that is named is there before anything is done; a configset that contains itself is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from windtunnel.guest.cfn.errors import Failed

SECTIONS = ("packages", "groups", "users", "sources", "files", "commands", "services")
"""In the order in which a config's are carried out."""
DEFAULT = "default"


class Config(NamedTuple):
    """A config key of AWS::CloudFormation::Init, within a configset that was asked for."""

    configset: str
    name: str
    sections: dict[str, Any]

    @property
    def unknown(self) -> list[str]:
        """What stands there and is no section: AWS's script does nothing with it either."""
        return sorted(self.sections.keys() - set(SECTIONS))


def configs(init: Mapping[str, Any], asked: Sequence[str]) -> list[Config]:
    """The configs of the configsets that were asked for. Raises Failed."""
    sets = init.get("configSets", {})
    if not isinstance(sets, Mapping):
        raise Failed("configSets is not a map of configsets")
    found: list[Config] = []
    for name in asked or (DEFAULT,):
        if name not in sets and name == DEFAULT and not sets:
            names = ["config"]
        else:
            names = _expanded(sets, name, ())
        found += [Config(name, config, _config(init, config)) for config in names]
    return found


def _expanded(sets: Mapping[str, Any], name: str, above: tuple[str, ...]) -> list[str]:
    if name in above:
        raise Failed(f"the configset {name} contains itself: {' > '.join((*above, name))}")
    if name not in sets:
        raise Failed(f"there is no configset named {name}" + (f"; there are: {', '.join(sorted(sets))}" if sets else ""))
    entries = sets[name]
    found: list[str] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if isinstance(entry, Mapping):
            if set(entry) != {"ConfigSet"}:
                raise Failed(f"the configset {name} has an entry that is neither a config nor a ConfigSet: {dict(entry)}")
            found += _expanded(sets, str(entry["ConfigSet"]), (*above, name))
        else:
            found.append(str(entry))
    return found


def _config(init: Mapping[str, Any], name: str) -> dict[str, Any]:
    config = init.get(name)
    if name == "configSets" or not isinstance(config, Mapping):
        raise Failed(f"there is no config named {name}")
    for section in SECTIONS:
        if config.get(section) and not isinstance(config[section], Mapping):
            raise Failed(f"the section {section} of the config {name} is not a map")
    return dict(config)


def asked_configsets(text: str) -> list[str]:
    """`-c a,b`"""
    return [name.strip() for name in text.split(",") if name.strip()]
