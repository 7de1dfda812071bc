"""Faults on purpose, under load, on real processes; what the clients and the log noticed of each."""
