"""``python -m services.interaction``"""

from services.interaction.app import run
from services.interaction.settings import InteractionSettings
from shared.service import main

if __name__ == "__main__":
    main("interaction", InteractionSettings, run)
