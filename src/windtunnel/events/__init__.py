"""The way of an event: outbox, rules, targets."""
