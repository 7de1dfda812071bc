"""Trains the voices: ``python -m training.speech`` makes data, vocoder and head, and exports ``models/speech``."""
