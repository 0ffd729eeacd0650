"""What the generated contract tests need to know of `cloudformation`."""

from __future__ import annotations

import json
from typing import Any

from harness import ACCOUNT, REGION
from windtunnel.kernel.context import Context
from windtunnel.services.cloudformation.model import ChangeSet, Export, Import, Stack, StackEvent, StackResource, State, Template

_ID = "00000000-0000-4000-8000-00000000c0f0"
_TEMPLATE = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
_POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}]})
NAMES: dict[str, Any] = {
    "stackname": "stack",
    "logicalresourceid": "Queue",
    "exportname": "exported",
    "templatebody": _TEMPLATE,
    "stackpolicybody": _POLICY,
    "stackpolicyduringupdatebody": _POLICY,
    "resourcetypes": ["AWS::SQS::Queue"],
    "rolearn": f"arn:aws:iam::{ACCOUNT}:role/Deploy",
    "changesetname": "plan",
    "changesettype": "UPDATE",
    "uniqueid": "i-1",
    "status": "SUCCESS",
    "type": "RESOURCE",
    "typename": "AWS::SQS::Queue",
    "versionid": "00000001",
    "arn": f"arn:aws:cloudformation:{REGION}::type/resource/AWS-SQS-Queue",
}
ALSO: dict[str, str] = {
    "CreateStack": "TemplateBody",
    "CreateChangeSet": "TemplateBody",
    "DescribeChangeSet": "StackName",
    "DescribeChangeSetHooks": "StackName",
    "ExecuteChangeSet": "StackName",
    "DeleteChangeSet": "StackName",
    "UpdateStack": "TemplateBody",
    "SetStackPolicy": "StackPolicyBody",
    "DescribeStackResources": "StackName",
    "DescribeType": "TypeName Type",
    "ListTypeVersions": "TypeName Type",
    "GetTemplate": "StackName",
    "GetTemplateSummary": "TemplateBody",
    "ValidateTemplate": "TemplateBody",
}

ERRORS = {
    "AlreadyExistsException",
    "LimitExceededException",
    "GeneralServiceException",
    "InsufficientCapabilitiesException",
    "TokenAlreadyExistsException",
    "CFNRegistryException",
    "TypeNotFoundException",
}
"""On the wire a code is what the model says in `error.code`; GeneralServiceException is a HandlerErrorCode of the registry."""


def place(ctx: Context) -> None:
    """A stack whose one resource is being created, so that it can be signalled."""
    ctx = ctx.in_scope(ACCOUNT, REGION)
    stack = Stack(id=_ID, name="stack", status="CREATE_COMPLETE", created=ctx.now, made=1, next_version=2, next_event=2)
    ctx.tx.put(stack)
    ctx.tx.put(Template(stack=_ID, version=1, text=_TEMPLATE, processed=_TEMPLATE, parameters={}, conditions={}, needs={"Queue": []}))
    state = State(physical="queue", type="AWS::SQS::Queue")
    ctx.tx.put(StackResource(stack=_ID, logical="Queue", type="AWS::SQS::Queue", status="CREATE_IN_PROGRESS", at=ctx.now, now=state))
    ctx.tx.put(
        StackEvent(stack=_ID, seq=1, id="event", logical="stack", physical=stack.arn(ctx.scope), type="AWS::CloudFormation::Stack",
                   status="CREATE_COMPLETE", at=ctx.now)
    )  # fmt: skip
    ctx.tx.put(ChangeSet(stack=_ID, name="plan", id=_ID, created=ctx.now, status="CREATE_COMPLETE", execution="AVAILABLE", version=1))
    ctx.tx.put(Export(name="exported", value="value", stack=_ID, stack_arn=stack.arn(ctx.scope)))
    ctx.tx.put(Import(export="exported", stack=_ID, stack_name="stack"))
