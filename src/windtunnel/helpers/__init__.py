"""What computes for longer than the server may: pure functions, run in processes of their own (see pool.py), so that no request waits for Python."""
