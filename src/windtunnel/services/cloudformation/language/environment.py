"""Where a template is read: what its pseudo parameters say."""

from __future__ import annotations

import msgspec

NO_VALUE_NAME = "AWS::NoValue"
PSEUDO_PARAMETERS = frozenset(
    {
        "AWS::AccountId",
        "AWS::NotificationARNs",
        NO_VALUE_NAME,
        "AWS::Partition",
        "AWS::Region",
        "AWS::StackId",
        "AWS::StackName",
        "AWS::URLSuffix",
    }
)


class Environment(msgspec.Struct, frozen=True):
    """The stack that a template is for. `zones` maps a region to the names that `Fn::GetAZs` gives for it.

    facts: the id of a live VPC, subnet or security group -> its attributes, as `Fn::ValueOf` reads them in rules."""

    account: str
    region: str
    stack_name: str
    stack_id: str
    partition: str = "aws"
    url_suffix: str = "amazonaws.com"
    notification_arns: list[str] = []
    zones: dict[str, list[str]] = {}
    facts: dict[str, dict[str, str]] = {}

    def pseudo(self, name: str) -> str | list[str]:
        """The value of a pseudo parameter (not of `AWS::NoValue`, which has none)."""
        match name:
            case "AWS::AccountId":
                return self.account
            case "AWS::Region":
                return self.region
            case "AWS::Partition":
                return self.partition
            case "AWS::StackId":
                return self.stack_id
            case "AWS::StackName":
                return self.stack_name
            case "AWS::URLSuffix":
                return self.url_suffix
            case "AWS::NotificationARNs":
                return self.notification_arns
        raise KeyError(name)
