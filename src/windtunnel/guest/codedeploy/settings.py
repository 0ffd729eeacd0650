"""Where the agent keeps things and whom it talks to.

Invariant: every path of the agent follows from here, so that a test can give it a directory of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

CONFIG = Path("/etc/codedeploy-agent/conf/codedeployagent.yml")


class Settings(NamedTuple):
    """root: the deployment root; state: the agent's own memory; endpoint: of the command service; max_revisions: archives kept."""

    root: Path = Path("/opt/codedeploy-agent/deployment-root")
    state: Path = Path("/opt/codedeploy-agent/state")
    log_dir: Path = Path("/var/log/aws/codedeploy-agent")
    home: Path = Path("/opt/codedeploy-agent")
    max_revisions: int = 5
    endpoint: str = ""
    s3_endpoint: str = ""

    @property
    def instructions(self) -> Path:
        return self.root / "deployment-instructions"

    def archives(self, group_id: str) -> Path:
        return self.root / group_id

    def deployment(self, group_id: str, deployment_id: str) -> Path:
        return self.root / group_id / deployment_id

    def last_successful(self, group_id: str) -> Path | None:
        """The directory of the deployment whose Install was the last to succeed."""
        return _pointed(self.instructions / f"{group_id}_last_successful_install")

    def most_recent(self, group_id: str) -> Path | None:
        return _pointed(self.instructions / f"{group_id}_most_recent_install")

    def point(self, group_id: str, which: str, deployment: Path) -> None:
        """which: last_successful or most_recent."""
        write_whole(self.instructions / f"{group_id}_{which}_install", str(deployment))


def _pointed(file: Path) -> Path | None:
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return None
    return Path(text) if text else None


def write_whole(path: Path, text: str) -> None:
    """Write a file so that after a crash it is there whole or as it was before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(config: Path = CONFIG) -> Settings:
    """The settings of this machine: the agent's configuration file over the defaults; the endpoint also from the environment."""
    given = _config(config)
    default = Settings()
    root = Path(given.get("root_dir") or default.root)
    return Settings(
        root=root,
        state=Path(given["pid_dir"]).parent if given.get("pid_dir") else default.state,
        log_dir=Path(given.get("log_dir") or default.log_dir),
        home=root.parent,
        max_revisions=max(1, int(given.get("max_revisions") or default.max_revisions)),
        endpoint=given.get("deploy_control_endpoint") or os.environ.get("AWS_ENDPOINT_URL") or "",
        s3_endpoint=given.get("s3_endpoint_override") or "",
    )


def _config(path: Path) -> dict[str, str]:
    """The agent's configuration: `:name: value` lines."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        name, colon, value = line.strip().removeprefix(":").partition(":")
        if colon and not line.lstrip().startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found
