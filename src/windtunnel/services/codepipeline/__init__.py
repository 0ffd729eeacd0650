"""CodePipeline: pipelines whose actions really run."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.codepipeline import actions as actions
from windtunnel.services.codepipeline import jobs as jobs
from windtunnel.services.codepipeline import operations as operations

service_rules("codepipeline", ServiceRules())
