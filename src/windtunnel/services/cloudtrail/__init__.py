"""AWS CloudTrail. Built so far: every management call recorded, and LookupEvents over 90 days of them."""

from windtunnel.services.cloudtrail import retention
from windtunnel.services.cloudtrail.operations import lookup

__all__ = ["lookup", "retention"]
