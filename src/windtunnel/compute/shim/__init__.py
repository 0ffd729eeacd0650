"""The supervisor that stands over one boot of a sandbox, and what it shares with the driver.

Why it exists: the cloud may be killed at any instant and its sandboxes go on. So each sandbox sits under a small process of its
own, which holds what must live exactly as long as the sandbox: its mounts, its pipes, its listeners, its exit status.

The invariant of the package: it imports the standard library and itself only, and is started with `python -I -S`, because every
megabyte and millisecond here is paid once a sandbox.
"""
