"""What keeps a data directory: snapshots, loading them, and the doctor. Works on files, beside a cloud or without one."""
