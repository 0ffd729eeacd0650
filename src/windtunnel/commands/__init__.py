"""One file a command of `./windtunnel`; each imports what it needs only when it is asked for."""
