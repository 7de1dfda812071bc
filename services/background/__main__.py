"""``python -m services.background``"""

from services.background.app import run
from services.background.settings import BackgroundSettings
from shared.service import main

if __name__ == "__main__":
    main("background", BackgroundSettings, run)
