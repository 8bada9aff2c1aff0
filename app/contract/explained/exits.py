"""Exit statuses of the commands."""

from app.contract.explained.entry import Explained, Section
from app.contract.job_file import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_OUT_OF_MEMORY,
    EXIT_PEER_LOST,
    EXIT_STOPPED,
)

EXITS = Section(
    "Exit statuses",
    "`stillhouse …`; `python -m worker.engine JOBDIR` (engine), of which the worker takes care by itself; `python -m "
    "worker ROLE` and `python -m migrations` (service).",
    {
        "stillhouse-0": Explained("It went well; with `--follow`, the job has succeeded.", "Nothing."),
        "stillhouse-1": Explained(
            "It did not go well: a refusal, a job that ended without a student, a spec that is not valid.",
            "Standard error says why, and what to do.",
        ),
        "stillhouse-2": Explained("The command line is wrong.", "See `stillhouse COMMAND --help`."),
        "stillhouse-130": Explained(
            "Ctrl-C detached from a job, which goes on.", "`stillhouse follow JOB` shows it again."
        ),
        f"engine-{EXIT_DONE}": Explained("The results are in `out/`.", "Nothing."),
        f"engine-{EXIT_FAILED}": Explained(
            "It failed, or `job.json` cannot be read.",
            "The last line of `events.jsonl` has code and detail, standard error the rest.",
        ),
        f"engine-{EXIT_OUT_OF_MEMORY}": Explained(
            "Memory ran out, and smaller micro-batches may help.",
            "Raise `halvings` in `job.json` by one and run the same command: it goes on from its checkpoint.",
        ),
        f"engine-{EXIT_DISK_FULL}": Explained(
            "There was no room for what had to be written; the last checkpoint is whole.",
            "Make room and run the same command: it goes on from there.",
        ),
        f"engine-{EXIT_STOPPED}": Explained(
            "It was asked to stop (SIGTERM, Ctrl-C) and wrote a checkpoint.",
            "Run the same command: it goes on from there.",
        ),
        f"engine-{EXIT_PEER_LOST}": Explained(
            "One of a job's several processes: another one has ended, or has not answered for 15 minutes.",
            "The log has the reason, if that one could say it. Run the same command: it goes on from its checkpoint.",
        ),
        "service-1": Explained(
            "Not started, or the schema not changed; the last line says why: no broker set, a schema of another "
            "version, a database that is locked.",
            "Set what is missing; run `python -m migrations` with the code of the same version.",
        ),
    },
)
