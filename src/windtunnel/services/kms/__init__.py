"""Key Management Service: keys whose material never leaves it in the clear, and what is encrypted under them."""

from windtunnel.services.kms import jobs as jobs
from windtunnel.services.kms import operations as operations
