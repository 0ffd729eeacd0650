"""S3's operations, by noun (API reference, 2006-03-01)."""

from windtunnel.services.s3.operations import buckets as buckets
from windtunnel.services.s3.operations import configuration as configuration
from windtunnel.services.s3.operations import copying as copying
from windtunnel.services.s3.operations import deleting as deleting
from windtunnel.services.s3.operations import listing as listing
from windtunnel.services.s3.operations import multipart as multipart
from windtunnel.services.s3.operations import policies as policies
from windtunnel.services.s3.operations import reading as reading
from windtunnel.services.s3.operations import tagging as tagging
from windtunnel.services.s3.operations import uploads as uploads
from windtunnel.services.s3.operations import writing as writing
