"""The labs: each a document (`<name>/lab.md`) that a person reads and a program runs, block by block, with real clients."""
