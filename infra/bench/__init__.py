"""Performance reports: numbers that were measured, and nothing else."""
