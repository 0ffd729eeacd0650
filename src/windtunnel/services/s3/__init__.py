"""Amazon S3: general purpose buckets, their objects and versions."""

from windtunnel.kernel.registry import ServiceRules, service_rules
from windtunnel.services.s3 import operations as operations
from windtunnel.services.s3 import sweep as sweep

service_rules("s3control", ServiceRules(validation_code="InvalidRequest", access_denied_code="AccessDenied"))
service_rules(
    "s3",
    ServiceRules(
        validation_code="MalformedXML", access_denied_code="AccessDenied", unchecked_shapes=frozenset({"BucketCannedACL", "CopySource"})
    ),
)
