"""CloudFormation's types of IAM, one file a noun."""

from windtunnel.services.iam.resources import access_keys as access_keys
from windtunnel.services.iam.resources import certificates as certificates
from windtunnel.services.iam.resources import devices as devices
from windtunnel.services.iam.resources import groups as groups
from windtunnel.services.iam.resources import inline as inline
from windtunnel.services.iam.resources import instance_profiles as instance_profiles
from windtunnel.services.iam.resources import managed as managed
from windtunnel.services.iam.resources import providers as providers
from windtunnel.services.iam.resources import roles as roles
from windtunnel.services.iam.resources import service_linked as service_linked
from windtunnel.services.iam.resources import users as users
