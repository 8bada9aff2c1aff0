"""A real worker whose jobs may be simulated: `python -m tests.faults.worker ROLE`, else as `python -m worker ROLE`."""

from worker import supervisor
from worker.__main__ import main

if __name__ == "__main__":
    supervisor.ENGINE = "tests.faults.engine"  # before the slots are forked, which take it along
    main()
