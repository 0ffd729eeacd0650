"""`python -m windtunnel`: the same as the `windtunnel` command."""

from windtunnel.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
