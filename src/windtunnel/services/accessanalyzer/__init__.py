"""IAM Access Analyzer: what it says of policies. Analyzers of resources are not built."""

from windtunnel.services.accessanalyzer import operations as operations
