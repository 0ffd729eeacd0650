"""What CloudFormation, Cloud Control and every service's `resources.py` share: the contract of a resource type, provider schemas, the walk between both."""
