"""What the resource types of a service are tried with: by their handlers alone (tests/unit) and through real stacks (tests/wire)."""
