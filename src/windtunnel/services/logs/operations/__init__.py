"""The operations of CloudWatch Logs (API reference, 2014-03-28), by noun."""
