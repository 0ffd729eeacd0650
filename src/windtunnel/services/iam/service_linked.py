"""Service-linked roles: which services have one, what it is called, and the AWS managed policy that it holds. Pure.

Invariant: a service that is not in the table gets no role: its name and policy cannot be guessed.
Source: "AWS services that work with IAM" and the services' own pages on their service-linked roles.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

PREFIX = "arn:aws:iam::aws:policy"


class Linked(NamedTuple):
    """policy: the ARN below `policy`; suffix: whether CustomSuffix is taken."""

    role: str
    policy: str
    suffix: bool = False


def _own(role: str, policy: str, suffix: bool = False) -> Linked:
    return Linked(f"AWSServiceRoleFor{role}", f"/aws-service-role/{policy}", suffix)


LINKED: dict[str, Linked] = {
    "access-analyzer.amazonaws.com": _own("AccessAnalyzer", "AccessAnalyzerServiceRolePolicy"),
    "autoscaling.amazonaws.com": _own("AutoScaling", "AutoScalingServiceRolePolicy", True),
    "backup.amazonaws.com": Linked("AWSServiceRoleForBackup", "/service-role/AWSBackupServiceRolePolicyForBackup"),
    "cloudtrail.amazonaws.com": _own("CloudTrail", "CloudTrailServiceRolePolicy"),
    "codestar-notifications.amazonaws.com": _own("CodeStarNotifications", "AWSCodeStarNotificationsServiceRolePolicy"),
    "config.amazonaws.com": _own("Config", "AWSConfigServiceRolePolicy"),
    "config-conforms.amazonaws.com": _own("ConfigConforms", "ConfigConformsServiceRolePolicy"),
    "dynamodb.application-autoscaling.amazonaws.com": Linked(
        "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable", "/aws-service-role/AWSApplicationAutoscalingDynamoDBTablePolicy"
    ),
    "ecs.amazonaws.com": _own("ECS", "AmazonECSServiceRolePolicy"),
    "ecs.application-autoscaling.amazonaws.com": Linked(
        "AWSServiceRoleForApplicationAutoScaling_ECSService", "/aws-service-role/AWSApplicationAutoscalingECSServicePolicy"
    ),
    "ec2fleet.amazonaws.com": _own("EC2Fleet", "AWSEC2FleetServiceRolePolicy"),
    "elasticache.amazonaws.com": _own("ElastiCache", "ElastiCacheServiceRolePolicy"),
    "elasticbeanstalk.amazonaws.com": _own("ElasticBeanstalk", "AWSElasticBeanstalkServiceRolePolicy"),
    "elasticloadbalancing.amazonaws.com": _own("ElasticLoadBalancing", "AWSElasticLoadBalancingServiceRolePolicy"),
    "events.amazonaws.com": _own("CloudWatchEvents", "CloudWatchEventsServiceRolePolicy"),
    "guardduty.amazonaws.com": _own("AmazonGuardDuty", "AmazonGuardDutyServiceRolePolicy"),
    "imagebuilder.amazonaws.com": _own("ImageBuilder", "AWSServiceRoleForImageBuilder"),
    "inspector2.amazonaws.com": _own("AmazonInspector2", "AmazonInspector2ServiceRolePolicy"),
    "lambda.application-autoscaling.amazonaws.com": Linked(
        "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency", "/aws-service-role/AWSApplicationAutoscalingLambdaConcurrencyPolicy"
    ),
    "ops.apigateway.amazonaws.com": _own("APIGateway", "APIGatewayServiceRolePolicy"),
    "organizations.amazonaws.com": _own("Organizations", "AWSOrganizationsServiceTrustPolicy"),
    "rds.amazonaws.com": _own("RDS", "AmazonRDSServiceRolePolicy"),
    "replicator.lambda.amazonaws.com": _own("LambdaReplicator", "AWSLambdaReplicator"),
    "securityhub.amazonaws.com": _own("SecurityHub", "AWSSecurityHubServiceRolePolicy"),
    "spot.amazonaws.com": _own("EC2Spot", "AWSEC2SpotServiceRolePolicy"),
    "spotfleet.amazonaws.com": _own("EC2SpotFleet", "AWSEC2SpotFleetServiceRolePolicy"),
    "ssm.amazonaws.com": _own("AmazonSSM", "AmazonSSMServiceRolePolicy"),
}


def role_path(service: str) -> str:
    return f"/aws-service-role/{service}/"


def trust_policy(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return msgspec.json.encode({"Version": "2012-10-17", "Statement": [statement]}).decode()
