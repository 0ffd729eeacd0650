"""Resources looked at by their own services' public operations, as a client would, apart from the resource types' handlers: what is there, or None."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from clients import Door
from windtunnel.provision.registry import Resource

Look = Callable[["Services", Resource], Any]


class Services:
    """boto3 clients of one cloud, made once each."""

    def __init__(self, door: Door, region: str = "us-east-1") -> None:
        self._door = door
        self._region = region
        self._made: dict[str, Any] = {}

    def __getattr__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._door.client(service, region=self._region)
        return self._made[service]

    def look(self, resource: Resource) -> Any:
        """What the service says of a resource; None when it says that there is none. Raises KeyError for a type that is not in the table."""
        try:
            return LOOKS[resource.type](self, resource) or None
        except ClientError as error:
            said = error.response["Error"]
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404 or any(word in said["Code"] for word in GONE):
                return None
            raise


GONE = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist", "NotExist")


def _ec2(operation: str, argument: str, member: str) -> Look:
    return lambda aws, one: getattr(aws.ec2, operation)(**{argument: [one.id]})[member]


def _route(aws: Services, one: Resource) -> Any:
    (table,) = aws.ec2.describe_route_tables(RouteTableIds=[one.properties["RouteTableId"]])["RouteTables"]
    wanted = next(value for name, value in one.properties.items() if name.startswith("Destination"))
    return [route for route in table["Routes"] if wanted in route.values()]


def _association(aws: Services, one: Resource) -> Any:
    found = aws.ec2.describe_route_tables(Filters=[{"Name": "association.route-table-association-id", "Values": [one.id]}])["RouteTables"]
    return [each for table in found for each in table["Associations"] if each.get("SubnetId") == one.properties["SubnetId"]]


def _attachment(aws: Services, one: Resource) -> Any:
    filters = [{"Name": "attachment.vpc-id", "Values": [one.properties["VpcId"]]}]
    return aws.ec2.describe_internet_gateways(Filters=filters)["InternetGateways"]


def _instance(aws: Services, one: Resource) -> Any:
    """Terminated ones are described for a while."""
    found = aws.ec2.describe_instances(InstanceIds=[one.id])["Reservations"]
    return [each for kept in found for each in kept["Instances"] if each["State"]["Name"] != "terminated"]


def _address(aws: Services, one: Resource) -> Any:
    return aws.ec2.describe_addresses(Filters=[{"Name": "public-ip", "Values": [one.id]}])["Addresses"]


def _policy(aws: Services, one: Resource) -> Any:
    """An inline policy of whoever it is attached to."""
    name = one.properties["PolicyName"]
    return [
        getattr(aws.iam, f"get_{kind}_policy")(**{f"{kind.title()}Name": holder, "PolicyName": name})["PolicyDocument"]
        for kind in ("role", "user", "group")
        for holder in one.properties.get(f"{kind.title()}s", [])
    ]


def _ingress(aws: Services, one: Resource) -> Any:
    filters = [{"Name": "group-id", "Values": [one.properties.get("GroupId") or one.properties["GroupName"]]}]
    rules = aws.ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return [rule for rule in rules if rule["IsEgress"] == one.type.endswith("Egress")]


def _key(aws: Services, one: Resource) -> Any:
    found = aws.kms.describe_key(KeyId=one.id)["KeyMetadata"]
    return found if found["KeyState"] != "PendingDeletion" else None


def _rule(aws: Services, one: Resource) -> Any:
    bus, _, name = one.id.rpartition("|")
    given = {"EventBusName": bus} if bus else {}
    rule = aws.events.describe_rule(Name=name, **given)
    targets = aws.events.list_targets_by_rule(Rule=name, **given)["Targets"]
    assert len(targets) == len(one.properties.get("Targets", [])), targets
    return rule


def _named(operation: str, argument: str, service: str, member: str | None = None) -> Look:
    def look(aws: Services, one: Resource) -> Any:
        said = getattr(getattr(aws, service), operation)(**{argument: one.id})
        return said if member is None else said[member]

    return look


LOOKS: dict[str, Look] = {
    "AWS::CodeBuild::Project": lambda aws, one: aws.codebuild.batch_get_projects(names=[one.id])["projects"],
    "AWS::CodeCommit::Repository": lambda aws, one: aws.codecommit.get_repository(repositoryName=one.attributes["Name"])[
        "repositoryMetadata"
    ],
    "AWS::CodeDeploy::Application": _named("get_application", "applicationName", "codedeploy", "application"),
    "AWS::CodePipeline::Pipeline": _named("get_pipeline", "name", "codepipeline", "pipeline"),
    "AWS::EC2::EIP": _address,
    "AWS::EC2::Instance": _instance,
    "AWS::EC2::InternetGateway": _ec2("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
    "AWS::EC2::NatGateway": _ec2("describe_nat_gateways", "NatGatewayIds", "NatGateways"),
    "AWS::EC2::NetworkAcl": _ec2("describe_network_acls", "NetworkAclIds", "NetworkAcls"),
    "AWS::EC2::Route": _route,
    "AWS::EC2::RouteTable": _ec2("describe_route_tables", "RouteTableIds", "RouteTables"),
    "AWS::EC2::SecurityGroup": _ec2("describe_security_groups", "GroupIds", "SecurityGroups"),
    "AWS::EC2::SecurityGroupEgress": _ingress,
    "AWS::EC2::SecurityGroupIngress": _ingress,
    "AWS::EC2::Subnet": _ec2("describe_subnets", "SubnetIds", "Subnets"),
    "AWS::EC2::SubnetRouteTableAssociation": _association,
    "AWS::EC2::VPC": _ec2("describe_vpcs", "VpcIds", "Vpcs"),
    "AWS::EC2::VPCEndpoint": _ec2("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
    "AWS::EC2::VPCGatewayAttachment": _attachment,
    "AWS::ECR::Repository": lambda aws, one: aws.ecr.describe_repositories(repositoryNames=[one.id])["repositories"],
    "AWS::Events::EventBus": _named("describe_event_bus", "Name", "events"),
    "AWS::Events::Rule": _rule,
    "AWS::IAM::Group": _named("get_group", "GroupName", "iam", "Group"),
    "AWS::IAM::InstanceProfile": _named("get_instance_profile", "InstanceProfileName", "iam", "InstanceProfile"),
    "AWS::IAM::ManagedPolicy": _named("get_policy", "PolicyArn", "iam", "Policy"),
    "AWS::IAM::Policy": _policy,
    "AWS::IAM::Role": _named("get_role", "RoleName", "iam", "Role"),
    "AWS::IAM::User": _named("get_user", "UserName", "iam", "User"),
    "AWS::KMS::Alias": lambda aws, one: aws.kms.describe_key(KeyId=one.id)["KeyMetadata"],
    "AWS::KMS::Key": _key,
    "AWS::Logs::LogGroup": lambda aws, one: [
        group for group in aws.logs.describe_log_groups(logGroupNamePrefix=one.id)["logGroups"] if group["logGroupName"] == one.id
    ],
    "AWS::S3::Bucket": _named("get_bucket_location", "Bucket", "s3"),
    "AWS::S3::BucketPolicy": _named("get_bucket_policy", "Bucket", "s3", "Policy"),
    "AWS::SNS::Subscription": _named("get_subscription_attributes", "SubscriptionArn", "sns", "Attributes"),
    "AWS::SNS::Topic": _named("get_topic_attributes", "TopicArn", "sns", "Attributes"),
    "AWS::SQS::Queue": _named("get_queue_attributes", "QueueUrl", "sqs"),
    "AWS::SSM::Parameter": _named("get_parameter", "Name", "ssm", "Parameter"),
    "AWS::Scheduler::Schedule": lambda aws, one: aws.scheduler.get_schedule(
        Name=one.id, GroupName=one.properties.get("GroupName", "default")
    ),
    "AWS::SecretsManager::Secret": _named("describe_secret", "SecretId", "secretsmanager"),
}
"""The types that templates use most; a look at any other is by its type's own `read`."""
