"""A child that writes down how it finds itself, then waits or computes, where its folder has a file of that name."""

import json
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path


def main() -> int:
    Path("seen.json").write_text(json.dumps(_seen()))
    if Path("wait").exists():
        sys.stdout.write("waiting\n")
        signal.pause()
    if Path("compute").exists():
        import torch

        torch.set_num_threads(2)
        square = torch.rand(300, 300)
        sys.stdout.write(f"{(square @ square).shape[0]} by {torch.get_num_threads()} threads\n")
    return 7


def _seen() -> dict[str, object]:
    return {
        "environment": dict(sorted(os.environ.items())),
        "folder": str(Path.cwd()),
        "temporary": tempfile.gettempdir(),
        "arguments": sys.argv[1:],
        "path": sys.path,
        "leads its session": os.getsid(0) == os.getpid(),
        "open": sorted(str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(64) if _is_open(number)),
        "held off": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "on SIGTERM": str(signal.getsignal(signal.SIGTERM)),
        "limits": [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CORE)],
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "name": __name__,
    }


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
