"""What the generated contract tests need to know of `codedeploy-commands`."""

from __future__ import annotations

FOR_EVERYONE: dict[str, str] = {
    "PollHostCommand": "The agent's: it may ask for its own host only, which the handler holds.",
    "PutHostCommandAcknowledgement": "The agent's, as above.",
    "PutHostCommandComplete": "The agent's, as above.",
    "PostHostCommandUpdate": "The agent's, as above.",
    "GetDeploymentSpecification": "The agent's, as above.",
}
