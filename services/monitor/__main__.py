"""``python -m services.monitor``"""

from services.monitor.faust_app import run
from services.monitor.settings import MonitorSettings
from shared.service import main

if __name__ == "__main__":
    main("monitor", MonitorSettings, run)
