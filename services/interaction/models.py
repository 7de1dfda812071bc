"""Models by name."""

from __future__ import annotations

from services.interaction.echo import EchoModel
from services.interaction.protocol import InteractionModel, SpeechOut
from services.interaction.settings import InteractionSettings


def load_model(settings: InteractionSettings) -> InteractionModel:
    """The model that the settings name; torch is imported only if it needs it.

    Raises:
        FileNotFoundError: no weights in ``model_dir``.
        ValueError: weights, configuration and encoder do not belong together; the message names them.
    """
    if settings.model == "echo":
        return EchoModel(audio=settings.echo_audio)
    from services.interaction.nano.model import NanoModel
    from services.interaction.nano.threads import set_threads

    set_threads(settings.model_threads)
    return NanoModel.load(settings.model_dir, capacity=settings.session_capacity, device=settings.model_device)


def load_voice(settings: InteractionSettings) -> SpeechOut | None:
    """The voice that the settings name, or None for text only. ``echo`` makes its own sound.

    Raises:
        FileNotFoundError: no weights in ``speech_dir``.
        ValueError: weights and configuration do not belong together.
    """
    there = (settings.speech_dir / "config.json").exists()
    if settings.model == "echo" or settings.speech == "off" or (settings.speech == "auto" and not there):
        return None
    from services.interaction.speech.speaker import Speaker

    return Speaker.load(settings.speech_dir)
