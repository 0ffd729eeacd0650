"""What the generated contract tests need to know of `cloudtrail`."""

from __future__ import annotations
