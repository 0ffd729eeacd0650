"""Small releases that pass through every job: what the crash suite does again and again, and how it looks at the end."""

from __future__ import annotations

import io
import json
import threading
import urllib.request
import zipfile
from typing import Any

from botocore.exceptions import ClientError
from doomed import DoomedCloud, patiently, until

from windtunnel.kernel.stock import STOCK_AMI

ACCOUNT = "123456789012"
BUILDSPEC = "version: 0.2\nphases:\n  build:\n    commands:\n      - echo building $(cat nonce.txt)\nartifacts:\n  files:\n    - '**/*'\n"
APPSPEC = "version: 0.0\nos: linux\nfiles:\n  - {source: nonce.txt, destination: /srv}\nfile_exists_behavior: OVERWRITE\nhooks:\n  AfterInstall:\n    - {location: count.sh, timeout: 20}\n"
COUNT = "#!/bin/sh\necho $DEPLOYMENT_ID >> /srv/hooks.txt\n"
USER_DATA = """#!/bin/sh
cat > /etc/systemd/system/files.service <<'U'
[Service]
ExecStart=/usr/bin/python3 -m http.server 8000 --directory /srv
Restart=always
[Install]
WantedBy=multi-user.target
U
systemctl daemon-reload; systemctl enable --now files
"""


def bundle(nonce: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in {"nonce.txt": nonce, "buildspec.yml": BUILDSPEC, "appspec.yml": APPSPEC, "count.sh": COUNT}.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def action(name: str, category: str, provider: str, configuration: dict[str, str], **more: Any) -> dict[str, Any]:
    kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
    return {"name": name, "actions": [{"name": name, "actionTypeId": kind, "configuration": configuration, **more}]}


class Releases:
    """One pipeline, one machine; `release(n)` sends a version through, `machine(n)` boots and ends another, `schedule(n)` waits for a tick."""

    def __init__(self, cloud: DoomedCloud) -> None:
        self.cloud = cloud
        names = ("s3", "iam", "ec2", "codebuild", "codedeploy", "codepipeline", "events", "ssm")
        self.s3, self.iam, self.ec2, self.codebuild, self.codedeploy, self.codepipeline, self.events, self.ssm = map(cloud.client, names)

    def set_up(self) -> None:
        self.s3.create_bucket(Bucket="crash")
        self.s3.put_bucket_versioning(Bucket="crash", VersioningConfiguration={"Status": "Enabled"})
        for service in ("codebuild", "codedeploy", "codepipeline", "ec2", "events"):
            trust = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}],
            }
            everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
            self.iam.create_role(RoleName=service, AssumeRolePolicyDocument=json.dumps(trust))
            self.iam.put_role_policy(RoleName=service, PolicyName="all", PolicyDocument=json.dumps(everything))
        self.iam.create_instance_profile(InstanceProfileName="machine")
        self.iam.add_role_to_instance_profile(InstanceProfileName="machine", RoleName="ec2")
        self.ami = self.ssm.get_parameter(Name="/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")["Parameter"][
            "Value"
        ]
        self.instance = self.launch("fleet", {"App": "crash"}, USER_DATA)
        self.projects()
        self.codedeploy.create_application(applicationName="crash", computePlatform="Server")
        self.codedeploy.create_deployment_group(
            applicationName="crash",
            deploymentGroupName="fleet",
            serviceRoleArn=role("codedeploy"),
            ec2TagFilters=[{"Key": "App", "Value": "crash", "Type": "KEY_AND_VALUE"}],
        )
        stages = [
            action("Source", "Source", "S3", {"S3Bucket": "crash", "S3ObjectKey": "in.zip"}, outputArtifacts=[{"name": "In"}]),
            action(
                "Build", "Build", "CodeBuild", {"ProjectName": "crash"}, inputArtifacts=[{"name": "In"}], outputArtifacts=[{"name": "Out"}]
            ),
            action("Approve", "Approval", "Manual", {}),
            action(
                "Deploy",
                "Deploy",
                "CodeDeploy",
                {"ApplicationName": "crash", "DeploymentGroupName": "fleet"},
                inputArtifacts=[{"name": "Out"}],
            ),
        ]
        store = {"type": "S3", "location": "crash"}
        self.s3.put_object(Bucket="crash", Key="in.zip", Body=bundle("first"))
        self.codepipeline.create_pipeline(
            pipeline={"name": "crash", "roleArn": role("codepipeline"), "artifactStore": store, "stages": stages}
        )
        self.finish("first")
        pattern = {
            "source": ["aws.codepipeline"],
            "detail-type": ["CodePipeline Pipeline Execution State Change"],
            "detail": {"state": ["SUCCEEDED"]},
        }
        self.events.put_rule(Name="after", EventPattern=json.dumps(pattern))
        self.events.put_targets(
            Rule="after", Targets=[{"Id": "note", "Arn": f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/note", "RoleArn": role("events")}]
        )

    def projects(self) -> None:
        environment = {"type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL"}
        pipeline = {"source": {"type": "CODEPIPELINE"}, "artifacts": {"type": "CODEPIPELINE"}}
        alone = {
            "source": {"type": "NO_SOURCE", "buildspec": "version: 0.2\nphases: {build: {commands: [echo noted]}}"},
            "artifacts": {"type": "NO_ARTIFACTS"},
        }
        for name, parts in {"crash": pipeline, "note": alone}.items():
            self.codebuild.create_project(name=name, serviceRole=role("codebuild"), environment=environment, **parts)

    def launch(self, token: str, tags: dict[str, str], user_data: str) -> str:
        answer = patiently(
            lambda: self.ec2.run_instances(
                ImageId=self.ami,
                InstanceType="t3.micro",
                MinCount=1,
                MaxCount=1,
                ClientToken=token,
                UserData=user_data,
                IamInstanceProfile={"Name": "machine"},
                TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}],
            )
        )
        instance: str = answer["Instances"][0]["InstanceId"]
        self.in_state(instance, "running")
        return instance

    def state(self, instance: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found

    def in_state(self, instance: str, wanted: str) -> None:
        until(lambda: self.state(instance)["State"]["Name"] == wanted, 60, f"{instance} is {wanted}")

    def page(self, path: str) -> str:
        address = patiently(lambda: self.state(self.instance))["PublicIpAddress"]

        def fetch() -> str:
            with urllib.request.urlopen(f"http://{address}:8000/{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text

        pause, last = threading.Event(), "nothing"
        for _ in range(100):
            try:
                return fetch()
            except OSError as error:
                last = str(error)
            pause.wait(0.1)
        raise AssertionError(f"{path} is not served: {last}")

    def release(self, nonce: str) -> None:
        """Send a version through the pipeline: build, approval, deployment; and see that each happened once."""
        notes = set(self.builds("note"))
        patiently(lambda: self.upload(nonce))
        self.finish(nonce)
        until(lambda: set(self.builds("note")) - notes, 60, "the rule started its build")
        assert len(set(self.builds("note")) - notes) == 1, "the event was delivered more than once"

    def upload(self, nonce: str) -> None:
        """Once, also when the answer to the first attempt was lost."""
        if self.s3.head_object(Bucket="crash", Key="in.zip")["Metadata"].get("nonce") != nonce:
            self.s3.put_object(Bucket="crash", Key="in.zip", Body=bundle(nonce), Metadata={"nonce": nonce})

    def builds(self, project: str) -> list[str]:
        """The newest hundred."""
        return patiently(lambda: self.codebuild.list_builds_for_project(projectName=project))["ids"]  # type: ignore[no-any-return]

    def finish(self, nonce: str) -> None:
        version = patiently(lambda: self.s3.head_object(Bucket="crash", Key="in.zip"))["VersionId"]

        def started() -> str | None:
            found = self.codepipeline.list_pipeline_executions(pipelineName="crash")["pipelineExecutionSummaries"]
            mine = [s["pipelineExecutionId"] for s in found if any(r["revisionId"] == version for r in s.get("sourceRevisions", []))]
            assert len(mine) <= 1, f"one upload started {len(mine)} executions"
            return mine[0] if mine else None

        execution = until(started, 60, f"an execution for {nonce}")
        until(lambda: self.approve(execution), 90, f"{nonce} waits for approval")
        until(lambda: self.status(execution) not in ("InProgress",), 120, f"{nonce} ends")
        assert patiently(lambda: self.status(execution)) == "Succeeded", self.told(execution)
        assert self.page("nonce.txt") == nonce
        details = patiently(
            lambda: self.codepipeline.list_action_executions(pipelineName="crash", filter={"pipelineExecutionId": execution})
        )["actionExecutionDetails"]
        assert sorted(d["actionName"] for d in details) == ["Approve", "Build", "Deploy", "Source"], "an action ran twice"
        deployment = next(d for d in details if d["actionName"] == "Deploy")["output"]["executionResult"]["externalExecutionId"]
        assert self.page("hooks.txt").split().count(deployment) == 1, "the hook ran more than once"

    def approve(self, execution: str) -> bool:
        stages = self.codepipeline.get_pipeline_state(name="crash")["stageStates"]
        stage = next(s for s in stages if s["stageName"] == "Approve")
        if self.status(execution) != "InProgress":
            return True
        if stage.get("latestExecution", {}).get("pipelineExecutionId") != execution:
            return False
        token = stage["actionStates"][0].get("latestExecution", {}).get("token")
        if stage["latestExecution"]["status"] == "Succeeded":
            return True
        if token is None:
            return False
        try:
            self.codepipeline.put_approval_result(
                pipelineName="crash", stageName="Approve", actionName="Approve", token=token, result={"summary": "go", "status": "Approved"}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ApprovalAlreadyCompletedException":
                raise
        return True

    def status(self, execution: str) -> str:
        found = self.codepipeline.get_pipeline_execution(pipelineName="crash", pipelineExecutionId=execution)
        status: str = found["pipelineExecution"]["status"]
        return status

    def told(self, execution: str) -> str:
        found = self.codepipeline.list_action_executions(pipelineName="crash", filter={"pipelineExecutionId": execution})
        return json.dumps(
            [(d["actionName"], d["status"], d.get("output", {}).get("executionResult")) for d in found["actionExecutionDetails"]]
        )

    def machine(self, nonce: str) -> None:
        """Boot, stop, start, reboot and terminate another machine; then boot one that is terminated while it is stopped."""
        instance = self.launch(nonce, {"Name": nonce}, "")
        patiently(lambda: self.ec2.stop_instances(InstanceIds=[instance]))
        self.in_state(instance, "stopped")
        patiently(lambda: self.ec2.start_instances(InstanceIds=[instance]))
        self.in_state(instance, "running")
        patiently(lambda: self.ec2.terminate_instances(InstanceIds=[instance]))
        self.in_state(instance, "terminated")
        other = self.launch(nonce + "-b", {}, "")
        patiently(lambda: self.ec2.stop_instances(InstanceIds=[other]))
        self.in_state(other, "stopped")
        patiently(lambda: self.ec2.terminate_instances(InstanceIds=[other]))
        self.in_state(other, "terminated")

    def reshaping(self, nonce: str) -> None:
        """A stack gives its machine another type: it is stopped, changed and started again, and is the same one."""
        cloudformation = self.cloud.client("cloudformation")
        name = f"shape-{nonce}"

        def template(kind: str) -> str:
            machine = {"Type": "AWS::EC2::Instance", "Properties": {"ImageId": STOCK_AMI, "InstanceType": kind}}
            return json.dumps({"Resources": {"Machine": machine}})

        def arrived(status: str) -> str:
            """The machine's id, once the stack is where it should be; nothing else ends its way."""
            found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            assert found == status or found.endswith("_IN_PROGRESS"), found
            if found != status:
                return ""
            shown = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="Machine")["StackResourceDetail"]
            return str(shown["PhysicalResourceId"])

        patiently(lambda: cloudformation.create_stack(StackName=name, TemplateBody=template("t3.micro"), ClientRequestToken=f"c-{nonce}"))
        instance = until(lambda: arrived("CREATE_COMPLETE"), 60, "the stack stands")
        patiently(lambda: cloudformation.update_stack(StackName=name, TemplateBody=template("t3.nano"), ClientRequestToken=f"u-{nonce}"))
        assert until(lambda: arrived("UPDATE_COMPLETE"), 60, "the stack is changed") == instance
        (shown,) = patiently(lambda: self.ec2.describe_instances(InstanceIds=[instance]))["Reservations"][0]["Instances"]
        assert (shown["InstanceType"], shown["State"]["Name"]) == ("t3.nano", "running")
        patiently(lambda: cloudformation.delete_stack(StackName=name))
        self.in_state(instance, "terminated")

    def schedule(self, nonce: str) -> None:
        """A rule that ticks once a paced minute starts its build."""
        rule = f"tick-{nonce}"
        before = set(self.builds("note"))
        patiently(lambda: self.events.put_rule(Name=rule, ScheduleExpression="rate(1 minute)"))
        target = {"Id": "note", "Arn": f"arn:aws:codebuild:us-east-1:{ACCOUNT}:project/note", "RoleArn": role("events")}
        patiently(lambda: self.events.put_targets(Rule=rule, Targets=[target]))
        until(lambda: set(self.builds("note")) - before, 60, "the schedule ticked")
        patiently(lambda: self.events.remove_targets(Rule=rule, Ids=["note"]))
        patiently(lambda: self.events.delete_rule(Name=rule))


def role(service: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{service}"
