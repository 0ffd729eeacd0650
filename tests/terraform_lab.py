"""Terraform, the real program with the real AWS provider, against a cloud of its own.

    with terraform_lab(tmp_path) as lab:
        lab.holds(CONFIGURATION)                  # apply, then a plan that is empty
        lab.holds(CHANGED)                        # an update in place, and again nothing left to do
        # and at the end: destroy

The provider is taken from this machine's disk, never downloaded. Where Terraform or the provider is missing the test skips, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from windtunnel.labs.cloud import LabCloud, tail

PLUGINS = (Path("/opt/tf-plugins"), Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins"))
PROVIDER = Path("registry.terraform.io/hashicorp/aws")
SECONDS = 300


def _plugins() -> Path | None:
    given = os.environ.get("TF_PLUGIN_DIR")
    return next((root for root in ((Path(given),) if given else PLUGINS) if (root / PROVIDER).is_dir()), None)


def missing() -> str | None:
    """Why Terraform cannot be run here; None when it can."""
    if shutil.which("terraform") is None:
        return "no terraform on this machine"
    return None if _plugins() else f"no AWS provider in {', '.join(map(str, PLUGINS))} (TF_PLUGIN_DIR names another place)"


PROVIDERS = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region                      = "us-east-1"
  s3_use_path_style           = true
  skip_region_validation      = true
  max_retries                 = 3
}
"""


class Terraform:
    """One working directory. Every call is bounded and raises AssertionError with Terraform's own words when it fails."""

    def __init__(self, directory: Path, cloud: LabCloud) -> None:
        self.directory = directory
        self.cloud = cloud
        directory.mkdir()
        plugins = _plugins()
        assert plugins is not None
        settings = directory / "terraform.rc"
        settings.write_text(f'provider_installation {{ filesystem_mirror {{ path = "{plugins}" }} }}\n')
        self._environment = {
            **os.environ,
            **cloud.environment(),
            "TF_CLI_CONFIG_FILE": str(settings),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        (directory / "provider.tf").write_text(PROVIDERS)
        self.run("init", "-input=false", "-no-color")

    def run(self, *arguments: str, allow: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}\n{tail(self.cloud.log)}"
        assert done.returncode in allow, f"terraform {' '.join(arguments)} ended with {done.returncode}:\n{said}"
        return done

    def write(self, configuration: str) -> None:
        (self.directory / "main.tf").write_text(configuration)

    def apply(self, configuration: str) -> None:
        self.write(configuration)
        self.run("apply", "-auto-approve", "-input=false", "-no-color")

    def plan(self) -> str:
        """What there is left to do: empty when nothing."""
        done = self.run("plan", "-detailed-exitcode", "-input=false", "-no-color", allow=(0, 2))
        return "" if done.returncode == 0 else done.stdout

    def holds(self, configuration: str) -> None:
        """Apply, after which nothing is left to do."""
        self.apply(configuration)
        left = self.plan()
        assert left == "", f"the plan after apply is not empty:\n{left}"

    def outputs(self) -> dict[str, Any]:
        return {name: value["value"] for name, value in json.loads(self.run("output", "-json").stdout).items()}

    def state(self, address: str) -> dict[str, Any]:
        """A resource's attributes as Terraform knows them."""
        resources = json.loads(self.run("show", "-json").stdout)["values"]["root_module"]["resources"]
        found: dict[str, Any] = next(item["values"] for item in resources if item["address"] == address)
        return found

    def imports(self, address: str, identifier: str) -> None:
        """Forget a resource and take it back by its identifier: nothing is left to do after that either."""
        self.run("state", "rm", address)
        self.run("import", "-input=false", "-no-color", address, identifier)
        left = self.plan()
        assert left == "", f"the plan after import of {address} is not empty:\n{left}"

    def destroy(self) -> None:
        self.run("destroy", "-auto-approve", "-input=false", "-no-color")


@contextmanager
def terraform_lab(tmp_path: Path) -> Iterator[Terraform]:
    """A started cloud and an initialised directory; what is applied is destroyed at the end."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    cloud = LabCloud(tmp_path / "data", tmp_path / "cloud.log")
    cloud.start()
    try:
        lab = Terraform(tmp_path / "terraform", cloud)
        yield lab
        lab.destroy()
    finally:
        cloud.stop()
