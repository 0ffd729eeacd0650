"""What the generated contract tests need to know of `ssm`."""

from __future__ import annotations

from typing import Any

NAMES: dict[str, Any] = {
    "resourcetype": "Parameter",
    "resourceid": "/parameter",
    "name": "/parameter",
    "names": ["/parameter"],
    "path": "/",
    "settingid": "/ssm/parameter-store/default-parameter-tier",
    "settingvalue": "Intelligent-Tiering",
    "resourcearn": "arn:aws:ssm:us-east-1:123456789012:parameter/parameter",
}
ALSO: dict[str, str] = {
    "PutParameter": "Type",
}
SEEDS: list[tuple[str, dict[str, Any]]] = [
    ("PutParameter", {"name": "/parameter", "value": "v", "type": "String"}),
]
