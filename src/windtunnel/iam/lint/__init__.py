"""What IAM Access Analyzer says of a policy's text: findings with their issue codes, words and places. Pure.

Invariant: a finding of type ERROR is one that the reference calls so; a policy without any is one that IAM's grammar takes. What cannot
be judged (a partition's regions, resource types of ARNs) is not reported, never guessed.
Source: IAM User Guide, "IAM policy validation check reference".
"""

from __future__ import annotations

from windtunnel.iam.lint.findings import Finding, Kind, Report
from windtunnel.iam.lint.statements import check_policy
from windtunnel.iam.source import Malformed, parse, place

__all__ = ["Finding", "Kind", "lint"]


def lint(text: str, kind: Kind) -> list[Finding]:
    """The findings in the order of their places. kind: identity, resource (also trust policies, with `trust`)."""
    report = Report(text)
    try:
        root = parse(text)
    except Malformed as wrong:
        at = place(text, wrong.offset)
        report.syntax(wrong.offset, f"Fix the JSON syntax error at index {at.offset} line {at.line} column {at.column}.")
        return report.findings
    check_policy(report, root, kind)
    return sorted(report.findings, key=lambda finding: finding.locations[0].start.offset)
