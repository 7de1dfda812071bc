"""``python -m infra.eval.reader``: the interaction service with the reader in nano's place."""

from functools import partial

from infra.eval.reader.model import Reader
from services.interaction.app import run
from services.interaction.settings import InteractionSettings
from shared.service import main

if __name__ == "__main__":
    main("interaction", InteractionSettings, partial(run, load=lambda _: Reader()))
