"""A stand-in for a job's processes: each does what the test says of its number, without torch.

Its arguments: a folder, and by number what to do: an exit code, -9 (be killed), "wait" (for SIGTERM, then stop), or
"lost" (wait for another's end, as who is connected to it sees that, and end with 76).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main(folder: Path, told: str) -> int:
    rank, end = os.environ["RANK"], json.loads(told)
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    what = end[int(rank)]
    if what in {"wait", "lost"}:
        stopped: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
        (folder / f"{rank}.ready").touch()
        while not stopped and not (what == "lost" and (folder / "ended").exists()):
            time.sleep(0.02)
        return 75 if stopped else 76
    while len([*folder.glob("*.ready")]) < sum(isinstance(one, str) for one in end):
        time.sleep(0.02)
    (folder / "ended").touch()
    if what < 0:
        os.kill(os.getpid(), -what)
    return int(what)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
