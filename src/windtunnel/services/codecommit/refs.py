"""Moving refs: compare-and-swap in the store, with the events that follow, in one transaction.

Invariant: a ref moves only from the value that the mover saw; all of an update's refs that can move do, each on its own answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from windtunnel.kernel.context import Context
from windtunnel.kernel.git import ZERO, Update
from windtunnel.kernel.trail import trail
from windtunnel.services.codecommit.model import HEADS, TAGS, Ref, Repository, repository_arn, valid_branch, valid_ref
from windtunnel.services.codecommit.triggering import fire


def refs_of(ctx: Context, repo: Repository) -> dict[str, str]:
    """Every ref of a repository: full name -> commit id."""
    return {ref.name: ref.target for ref in ctx.tx.scan(Ref, prefix=f"{repo.repository_id}/")}


def clash(name: str, others: Iterable[str]) -> str | None:
    """The ref that stands in a new one's way: of `a` and `a/b` a clone can have only one."""
    return next((other for other in others if other.startswith(name + "/") or name.startswith(other + "/")), None)


def refusal(ctx: Context, repo: Repository, update: Update, others: Iterable[str]) -> str | None:
    """Why this ref may not move beside the others that there will be, in words for git's `remote rejected`; None when it may."""
    name = update.ref
    is_branch = name.startswith(HEADS) and valid_branch(name[len(HEADS) :])
    if not is_branch and not (name.startswith(TAGS) and valid_ref(name[len(TAGS) :])):
        return "invalid reference name"
    if update.old == update.new == ZERO:
        return "there is no such reference"
    current = ctx.tx.get(Ref, f"{repo.repository_id}/{name}")
    if (current.target if current else ZERO) != update.old:
        return "failed to update ref: it has moved meanwhile"
    if update.new == ZERO and name == HEADS + repo.default_branch:
        return "the default branch cannot be deleted"
    other = clash(name, others) if update.old == ZERO else None
    return f"'{other}' exists; cannot create '{name}'" if other else None


def move(ctx: Context, repo: Repository, update: Update, *, summary: str = "", alone: bool = True) -> None:
    """Carry out an update that was not refused: ref, default branch, event, trail. alone: whoever moves several tells the triggers of all at once."""
    key = f"{repo.repository_id}/{update.ref}"
    if update.new == ZERO:
        ctx.tx.delete(Ref, key)
    else:
        ctx.tx.put(Ref(repository_id=repo.repository_id, name=update.ref, target=update.new))
    repo.modified = ctx.now
    if not repo.default_branch and update.ref.startswith(HEADS) and update.new != ZERO:
        repo.default_branch = update.ref[len(HEADS) :]
    ctx.tx.put(repo)
    _tell(
        ctx if ctx.cause.startswith("commit:") else ctx.caused_by(f"commit:{repo.name}@{update.old if update.new == ZERO else update.new}"),
        repo,
        update,
        summary,
    )
    if alone:
        fire(ctx, repo, [update])


def _tell(ctx: Context, repo: Repository, update: Update, summary: str) -> None:
    is_branch = update.ref.startswith(HEADS)
    short = update.ref[len(HEADS if is_branch else TAGS) :]
    detail = {
        "repositoryName": repo.name,
        "repositoryId": repo.repository_id,
        "referenceType": "branch" if is_branch else "tag",
        "referenceName": short,
        "referenceFullName": update.ref,
        "callerUserArn": ctx.principal.arn,
    }
    if update.new == ZERO:
        detail |= {"event": "referenceDeleted", "oldCommitId": update.old}
    elif update.old == ZERO:
        detail |= {"event": "referenceCreated", "commitId": update.new}
    else:
        detail |= {"event": "referenceUpdated", "commitId": update.new, "oldCommitId": update.old}
    ctx.emit("aws.codecommit", "CodeCommit Repository State Change", [repository_arn(ctx.scope, repo.name)], detail)
    if update.new == ZERO:
        trail(ctx, [update.old, update.old[:7], repo.name], f"{ctx.principal.arn} deleted {short} of {repo.name} (it was {update.old[:7]})")
        return
    said = f": {summary}" if summary else ""
    trail(ctx, [update.new, update.new[:7], repo.name], f"{ctx.principal.arn} pushed {update.new[:7]} to {repo.name} {short}{said}")
