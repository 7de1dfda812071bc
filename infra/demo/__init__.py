"""``make demo``: a recorded conversation, played in real time through the whole pipeline, and what came of it."""
