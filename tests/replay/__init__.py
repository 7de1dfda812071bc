"""Sessions out of the log: replay, export and import, the shared context rebuilt."""
