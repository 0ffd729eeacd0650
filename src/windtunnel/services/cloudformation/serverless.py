"""AWS::Serverless-2016-10-31, by the translator that AWS itself runs. In a helper process: importing it takes a second.

Pure: a template and parameter values in, a template or the translator's words out.
"""

from __future__ import annotations

import logging
import os
from typing import Any


class _Policies:
    """Names of managed policies to their ARNs, as the translator asks for them."""

    def __init__(self, arns: dict[str, str]) -> None:
        self._arns = arns

    def load(self) -> dict[str, str]:
        return self._arns


def translated(template: dict[str, Any], parameters: dict[str, Any], policies: dict[str, str], region: str) -> dict[str, Any]:
    """{"template": …} or {"error": text}. policies: ARNs of AWS's managed policies by name."""
    os.environ["AWS_DEFAULT_REGION"] = region
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns of metrics that nobody collects
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.translator.transform import transform

    try:
        return {"template": transform(template, parameters, _Policies(policies))}
    except InvalidDocumentException as error:
        causes = " ".join(cause.message for cause in error.causes)
        return {"error": f"{error.message} {causes}".strip()}
