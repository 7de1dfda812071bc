"""Which model runs a session again: loaded by the services' own code."""

from __future__ import annotations

from pathlib import Path

from infra.replay.recorded import Recorded
from services.interaction.models import load_model, load_voice
from services.interaction.protocol import InteractionModel, SpeechOut
from services.interaction.settings import InteractionSettings

ECHO = "echo"


class WrongModel(ValueError):
    """Neither ``echo`` nor a folder with a model's files, or not the model that answered; the message says which."""


def load(name: str, *, audio: bool = True) -> InteractionModel:
    """``echo`` (with or without ``audio``), or the model in a folder.

    Raises:
        WrongModel: the folder, or a file in it, is missing, or its files do not belong together.
    """
    if name == ECHO:
        return load_model(InteractionSettings(model="echo", echo_audio=audio, session_capacity=1))
    try:
        return load_model(InteractionSettings(model="nano", model_dir=Path(name), session_capacity=1))
    except FileNotFoundError as error:
        raise WrongModel(f"{name!r} is neither {ECHO!r} nor a model's folder: {error}") from None
    except ValueError as error:
        raise WrongModel(str(error)) from None


def of(recorded: Recorded, folder: Path) -> InteractionModel:
    """The model that answered the session, which must be the one in ``folder`` unless it was ``echo``.

    Raises:
        WrongModel: the folder holds none, or another one.
    """
    if all(name.startswith("echo-") for name in recorded.models):
        return load(ECHO, audio=any(turn.audio for turn in recorded.turns.values()))
    model = load(str(folder))
    if model.name not in recorded.models:
        raise WrongModel(
            f"session {recorded.session_id} was answered by {' and '.join(recorded.models)}, but {folder} holds "
            f"{model.name}: name the folder of that version with --model-dir, or run this one over it with --model"
        )
    return model


def voice_of(recorded: Recorded, model: InteractionModel) -> SpeechOut | None:
    """What spoke in the session: the voice at hand if its turns tell of one, else none.

    Raises:
        WrongModel: it spoke, and there is no voice here.
    """
    if model.name.startswith("echo-") or all(turn.speech is None for turn in recorded.turns.values()):
        return None
    names = sorted({turn.speech.by for turn in recorded.turns.values() if turn.speech and turn.speech.by})
    try:
        voice = load_voice(InteractionSettings(speech="on"))
    except (FileNotFoundError, ValueError) as error:
        raise WrongModel(f"session {recorded.session_id} was spoken by {' and '.join(names)}: {error}") from None
    if voice is not None and names and voice.name not in names:
        raise WrongModel(
            f"session {recorded.session_id} was spoken by {' and '.join(names)}, but the voice here is {voice.name}: "
            "name the folder of that version with SPEECH_DIR"
        )
    return voice
