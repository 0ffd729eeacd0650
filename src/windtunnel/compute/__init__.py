"""Sandboxes: the contract (`driver.py`), the drivers that keep it, and the images they run."""
