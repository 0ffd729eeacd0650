"""The operations of CloudTrail (API reference, 2013-11-01), by noun."""
