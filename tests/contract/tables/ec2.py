"""What the generated contract tests need to know of `ec2`."""

from __future__ import annotations

ALSO: dict[str, str] = {
    "RunInstances": "ImageId InstanceType",
    "CreateTags": "Resources Tags",
    "DeleteTags": "Resources Tags",
}
ERRORS = {
    "DryRunOperation",
    "FilterLimitExceeded",
    "IdempotentParameterMismatch",
    "IncorrectInstanceState",
    "IncorrectState",
    "InstanceLimitExceeded",
    "InsufficientInstanceCapacity",
    "InvalidAMIID.Malformed",
    "InvalidAMIID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidID",
    "InvalidInstanceID",
    "InvalidInstanceID.Malformed",
    "InvalidInstanceID.NotFound",
    "InvalidInstanceType",
    "InvalidKeyPair.NotFound",
    "InvalidNextToken",
    "InvalidParameter",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "InvalidSubnetID.NotFound",
    "InvalidVpcID.NotFound",
    "MissingParameter",
    "OperationNotPermitted",
    "TagLimitExceeded",
    "UnsupportedOperation",
}
