"""Windtunnel: the AWS DevOps toolchain running for real on one machine."""

__version__ = "0.1.0"
