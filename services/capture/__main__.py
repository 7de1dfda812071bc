"""``python -m services.capture``"""

from services.capture.app import run
from services.capture.settings import CaptureSettings
from shared.service import main

if __name__ == "__main__":
    main("capture", CaptureSettings, run)
