"""Carrying a stack operation out: walks over its resources, a few milliseconds at a time, each batch in one transaction."""
