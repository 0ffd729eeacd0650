"""CloudFormation's helper scripts, as AWS's package aws-cfn-bootstrap documents them.

Why it exists: templates configure their instances by `cfn-init`, and tell the stack with `cfn-signal` how that went.

The invariant it keeps: what these scripts say they did is done; what they cannot do they name, and end with a status that is not 0.
Source: CloudFormation template reference, "Helper scripts" and "AWS::CloudFormation::Init".
"""
