"""Writes the scenarios: seeded templates in, ``tests/behaviour/scenarios/<suite>.json`` and their speech out."""
