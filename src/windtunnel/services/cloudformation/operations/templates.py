"""Templates: validated, summed up, and given back as they were submitted."""

from __future__ import annotations

from typing import Any

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.registry import reads
from windtunnel.services.cloudformation import apart
from windtunnel.services.cloudformation.lookup import arn_for_policies, on_everything, the_stack
from windtunnel.services.cloudformation.model import Stack, Template
from windtunnel.services.cloudformation.operations.change_sets import find_change_set
from windtunnel.services.cloudformation.submitting import invalid, text_of


def the_template(ctx: Context, stack: Stack) -> Template | None:
    """The version in force, else the last one that was tried."""
    version = stack.made or stack.next_version - 1
    return ctx.tx.get(Template, f"{stack.id}/{version:06d}")


def to_get(ctx: Context, stack_name: str | None = None, **_: Any) -> list[Need]:
    return [Need("cloudformation:GetTemplate", arn_for_policies(ctx, stack_name))]


@reads("cloudformation", "GetTemplate", authorize=to_get, acts="StackName ChangeSetName TemplateStage", cost="scan")
def get_template(
    ctx: Context, stack_name: str | None = None, change_set_name: str | None = None, template_stage: str = "Original"
) -> Reply:
    if change_set_name:
        if not stack_name and not change_set_name.startswith("arn:"):
            raise invalid("StackName is required if ChangeSetName is not specified.")
        owner, found = find_change_set(ctx, change_set_name, stack_name)
        template = ctx.tx.get(Template, f"{owner.id}/{found.version:06d}")
    elif not stack_name:
        raise invalid("StackName is a required parameter.")
    else:
        template = the_template(ctx, the_stack(ctx, stack_name, "id"))
    if template is None:
        raise invalid(f"Stack with id {stack_name} does not exist")
    processed = template_stage == "Processed" and template.transforms
    return {"TemplateBody": template.processed if processed else template.text, "StagesAvailable": ["Original", "Processed"]}


def to_summarize(ctx: Context, stack_name: str | None = None, **_: Any) -> list[Need]:
    return [Need("cloudformation:GetTemplateSummary", arn_for_policies(ctx, stack_name))]


@reads(
    "cloudformation",
    "GetTemplateSummary",
    authorize=to_summarize,
    acts="TemplateBody TemplateURL StackName TemplateSummaryConfig.TreatUnrecognizedResourceTypesAsWarnings",
    cost="scan",
)
def get_template_summary(
    ctx: Context,
    template_body: str | None = None,
    template_url: str | None = None,
    stack_name: str | None = None,
    template_summary_config: dict[str, Any] | None = None,
) -> Reply:
    if stack_name:
        if template_body is not None or template_url is not None:
            raise invalid("Only one of StackName, TemplateBody and TemplateURL can be specified.")
        stack = the_stack(ctx, stack_name, "id")
        if stack.status == "REVIEW_IN_PROGRESS":
            raise invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
        template = the_template(ctx, stack)
        text = template.text if template is not None else ""
    else:
        text = text_of(ctx, template_body, template_url)
    lenient = bool((template_summary_config or {}).get("TreatUnrecognizedResourceTypesAsWarnings"))
    found = apart.summed_up(ctx, text, lenient=lenient)
    shown: Reply = found["summary"] | {"ResourceIdentifierSummaries": found["identifiers"]}
    if lenient:
        shown["Warnings"] = {"UnrecognizedResourceTypes": found["unknown"]}
    return shown


@reads("cloudformation", "ValidateTemplate", authorize=on_everything("ValidateTemplate"), acts="TemplateBody TemplateURL", cost="scan")
def validate_template(ctx: Context, template_body: str | None = None, template_url: str | None = None) -> Reply:
    shown = apart.summed_up(ctx, text_of(ctx, template_body, template_url))["summary"]
    kept = ("Description", "Capabilities", "CapabilitiesReason", "DeclaredTransforms")
    reply: Reply = {name: shown[name] for name in kept if shown.get(name)}
    members = ("ParameterKey", "DefaultValue", "NoEcho", "Description")
    reply["Parameters"] = [{name: p[name] for name in members if name in p} for p in shown.get("Parameters") or []]
    return reply
