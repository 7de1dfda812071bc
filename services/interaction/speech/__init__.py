"""Speech out: the words of each tick become 200 ms of audio. ``speaker`` is the door; see ``docs/speech.md``."""
