"""Put up the walls that the command line tells, and run a module behind them."""

import json
import sys

from worker.sandbox.start import start
from worker.sandbox.walls import Walls

if __name__ == "__main__":
    told, *rest = sys.argv[1:]
    start(Walls(**json.loads(told)), *rest)
