"""Templates that are nested in others: kept in a bucket, and the resources that nest them."""

from __future__ import annotations

import json
from typing import Any

from clients import Door
from stacks import template, thing

BUCKET = "http://127.0.0.1:4566/templates"


class Templates:
    """What a root's template refers to by its address."""

    def __init__(self, door: Door) -> None:
        self._s3 = door.client("s3")
        self._s3.create_bucket(Bucket="templates")

    def __call__(self, name: str, body: dict[str, Any], *needs: str, **parameters: Any) -> dict[str, Any]:
        """Put a template; the resource that nests it."""
        self._s3.put_object(Bucket="templates", Key=name, Body=json.dumps(body).encode())
        nested: dict[str, Any] = {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": f"{BUCKET}/{name}"}}
        if parameters:
            nested["Properties"]["Parameters"] = parameters
        return nested | ({"DependsOn": list(needs)} if needs else {})


def child(**properties: Any) -> dict[str, Any]:
    """A template with one thing, and its colour as output."""
    return template(Thing=thing(**properties)) | {"Outputs": {"Colour": {"Value": properties.get("Colour", "none")}}}
