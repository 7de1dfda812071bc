"""Suite ``speech``: nano's voice through the whole pipeline, judged by what a client received."""
