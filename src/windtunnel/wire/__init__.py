"""The AWS wire: routing, signatures, one codec per protocol. Knows bytes and models, no service's behaviour."""
