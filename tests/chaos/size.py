"""How much is done to them: a little in each run of all tests, much in ``make chaos``."""

import os
from typing import Final

FULL: Final = os.environ.get("QUEUEKIT_CHAOS") == "full"
ROUNDS: Final = 20 if FULL else 1
"""seeds of a test that asks for several"""
JOBS: Final = 2000 if FULL else 300
KILLS: Final = 40 if FULL else 8
STOPS: Final = 5 if FULL else 1
AWAY: Final = 300.0 if FULL else 8.0
"""seconds for which a worker is watched that has no server"""
