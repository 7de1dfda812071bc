"""Everything that crosses a process: keys, records, topics, the codec. Imports nothing of ours."""
