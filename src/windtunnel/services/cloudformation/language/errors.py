"""The one exception of the language."""

from __future__ import annotations


class TemplateError(Exception):
    """What is wrong with a template or with the parameters given to it, in AWS's words; the API's `ValidationError`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
