"""S3's operations, by noun (API reference, 2006-03-01)."""

from windtunnel.services.s3.operations import acls as acls
from windtunnel.services.s3.operations import buckets as buckets
from windtunnel.services.s3.operations import configuration as configuration
from windtunnel.services.s3.operations import control as control
from windtunnel.services.s3.operations import copying as copying
from windtunnel.services.s3.operations import cors as cors
from windtunnel.services.s3.operations import deleting as deleting
from windtunnel.services.s3.operations import lifecycle as lifecycle
from windtunnel.services.s3.operations import listing as listing
from windtunnel.services.s3.operations import locks as locks
from windtunnel.services.s3.operations import multipart as multipart
from windtunnel.services.s3.operations import notifications as notifications
from windtunnel.services.s3.operations import policies as policies
from windtunnel.services.s3.operations import reading as reading
from windtunnel.services.s3.operations import reports as reports
from windtunnel.services.s3.operations import restoring as restoring
from windtunnel.services.s3.operations import switches as switches
from windtunnel.services.s3.operations import tagging as tagging
from windtunnel.services.s3.operations import uploads as uploads
from windtunnel.services.s3.operations import website as website
from windtunnel.services.s3.operations import writing as writing
