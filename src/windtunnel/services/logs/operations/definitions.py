"""Saved queries of Logs Insights: kept and shown; running them is not built."""

from __future__ import annotations

from typing import Any, ClassVar

from windtunnel.kernel.context import Context, Need, Reply
from windtunnel.kernel.errors import AwsError
from windtunnel.kernel.records import Record
from windtunnel.kernel.registry import reads, writes
from windtunnel.services.logs.model import page_token, parse_page_token

MAX_DEFINITIONS = 1_000


class QueryDefinition(Record, kw_only=True):
    """modified: epoch milliseconds."""

    KIND: ClassVar[str] = "logs.querydefinition"

    id: str
    name: str
    query: str
    groups: list[str] = []
    language: str = "CWLI"
    modified: int

    def key(self) -> str:
        return self.id

    def described(self) -> dict[str, Any]:
        reply = {
            "queryLanguage": self.language,
            "queryDefinitionId": self.id,
            "name": self.name,
            "queryString": self.query,
            "lastModified": self.modified,
        }
        return reply | ({"logGroupNames": self.groups} if self.groups else {})


def on_all(action: str) -> Any:
    def authorize(ctx: Context, **_: Any) -> list[Need]:
        return [Need(f"logs:{action}", "*")]

    return authorize


@writes(
    "logs",
    "PutQueryDefinition",
    authorize=on_all("PutQueryDefinition"),
    acts="name queryDefinitionId clientToken",
    descriptive="queryString logGroupNames[] queryLanguage",
)
def put_query_definition(
    ctx: Context,
    name: str,
    query_string: str,
    query_definition_id: str | None = None,
    log_group_names: list[str] | None = None,
    query_language: str = "CWLI",
    client_token: str | None = None,
) -> Reply:
    if query_definition_id and ctx.tx.get(QueryDefinition, query_definition_id) is None:
        raise AwsError("ResourceNotFoundException", "The specified query definition does not exist.")
    found = ctx.tx.scan(QueryDefinition)
    if any(one.name == name and one.id != query_definition_id for one in found):
        raise AwsError("InvalidParameterException", f"A query definition named {name} already exists.")
    if not query_definition_id and len(found) >= MAX_DEFINITIONS:
        raise AwsError("LimitExceededException", "Resource limit exceeded.")
    made = QueryDefinition(
        id=query_definition_id or ctx.ids.uuid(),
        name=name,
        query=query_string,
        groups=list(log_group_names or []),
        language=query_language,
        modified=int(ctx.now * 1000),
    )
    ctx.tx.put(made)
    return {"queryDefinitionId": made.id}


@reads(
    "logs",
    "DescribeQueryDefinitions",
    authorize=on_all("DescribeQueryDefinitions"),
    acts="queryLanguage queryDefinitionNamePrefix maxResults nextToken",
    cost="scan",
)
def describe_query_definitions(
    ctx: Context,
    query_language: str = "",
    query_definition_name_prefix: str = "",
    max_results: int = 1_000,
    next_token: str | None = None,
) -> Reply:
    after = parse_page_token(next_token, str)[0] if next_token else None
    found = [
        one
        for one in ctx.tx.scan(QueryDefinition, after=after)
        if one.name.startswith(query_definition_name_prefix) and (not query_language or one.language == query_language)
    ]
    reply: Reply = {"queryDefinitions": [one.described() for one in found[:max_results]]}
    if len(found) > max_results:
        reply["nextToken"] = page_token(found[max_results - 1].id)
    return reply


@writes("logs", "DeleteQueryDefinition", authorize=on_all("DeleteQueryDefinition"), acts="queryDefinitionId")
def delete_query_definition(ctx: Context, query_definition_id: str) -> Reply:
    if not ctx.tx.delete(QueryDefinition, query_definition_id):
        raise AwsError("ResourceNotFoundException", "The specified query definition does not exist.")
    return {"success": True}
