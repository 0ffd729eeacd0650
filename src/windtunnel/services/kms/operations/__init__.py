"""KMS's operations, by noun (KMS API reference, 2014-11-01)."""

from windtunnel.services.kms.operations import aliases as aliases
from windtunnel.services.kms.operations import data_keys as data_keys
from windtunnel.services.kms.operations import encryption as encryption
from windtunnel.services.kms.operations import grants as grants
from windtunnel.services.kms.operations import importing as importing
from windtunnel.services.kms.operations import keys as keys
from windtunnel.services.kms.operations import lifecycle as lifecycle
from windtunnel.services.kms.operations import policies as policies
from windtunnel.services.kms.operations import rotation as rotation
from windtunnel.services.kms.operations import signing as signing
from windtunnel.services.kms.operations import stores as stores
from windtunnel.services.kms.operations import tags as tags
