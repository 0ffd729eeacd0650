"""Where records, the outbox, runs and blobs live: one interface, one contract suite."""
