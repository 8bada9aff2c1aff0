"""A real worker whose jobs may be simulated: `python -m tests.faults.worker ROLE`, else as `python -m worker ROLE`."""

from worker import supervisor
from worker.__main__ import main
from worker.forkserver import client

if __name__ == "__main__":
    # Before the slots are forked, which take it along.
    supervisor.ENGINE = "tests.faults.engine"
    client._READY = ("app.contract.job_file",)  # no torch, which few of them need, for workers that live for seconds
    main()
