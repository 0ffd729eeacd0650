"""CodeBuild's operations (API reference, 2016-10-06), by noun."""
