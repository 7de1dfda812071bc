"""Sessions out of the log: listed, run again and compared, run with another model, carried in one file."""
