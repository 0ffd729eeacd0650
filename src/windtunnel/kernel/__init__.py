"""What every other part stands on, and what stands on nothing of ours."""
