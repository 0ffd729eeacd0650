"""Wires that are not the AWS API: git smart HTTP, instance metadata."""
