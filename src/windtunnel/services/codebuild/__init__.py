"""CodeBuild: projects, and builds that run in sandboxes as their service role."""

from windtunnel.services.codebuild import jobs
from windtunnel.services.codebuild.operations import builds, listings, projects

__all__ = ["builds", "jobs", "listings", "projects"]
