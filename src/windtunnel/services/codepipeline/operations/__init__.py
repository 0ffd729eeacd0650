"""CodePipeline's operations (API reference, 2015-07-09), by noun."""

from windtunnel.services.codepipeline.operations import approvals as approvals
from windtunnel.services.codepipeline.operations import executions as executions
from windtunnel.services.codepipeline.operations import pipelines as pipelines
from windtunnel.services.codepipeline.operations import stages as stages
from windtunnel.services.codepipeline.operations import tags as tags
