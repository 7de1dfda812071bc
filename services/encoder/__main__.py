"""``python -m services.encoder``"""

from services.encoder.app import run
from services.encoder.settings import EncoderSettings
from shared.service import main

if __name__ == "__main__":
    main("encoder", EncoderSettings, run)
