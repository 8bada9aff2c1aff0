"""Be a slot's fork server: python -P -m worker.forkserver PARENT SOCKET IDLE MODULE...

PARENT: the slot's process; SOCKET: the descriptor on which it asks; IDLE: seconds without a child after which to end;
MODULES: what children find imported.
"""

import gc
import importlib
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

from worker.forkserver.server import ForkServer
from worker.sandbox import limits
from worker.sandbox.start import start
from worker.sandbox.walls import Walls

_DEVICE = "/dev/nvidia"


def main(parent: str, orders: str, idle: str, *modules: str) -> None:
    limits.die_with(int(parent))
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        sys.exit(f"no fork server: {error.strerror} (Linux 5.3 has pidfd_open)")
    for module in modules:
        importlib.import_module(module)
    if _touched_cuda():
        sys.exit("no fork server: importing torch touches CUDA here, which no forked process can use again")
    gc.collect()
    gc.freeze()  # or every child's first collection would copy all of it
    server = ForkServer(socket.socket(fileno=int(orders)), float(idle))
    if order := server.serve():
        start(replace(Walls(**order.walls), parent=server.pid), order.module, *order.arguments)


def _touched_cuda() -> bool:
    return any(os.path.realpath(opened).startswith(_DEVICE) for opened in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    main(*sys.argv[1:])
