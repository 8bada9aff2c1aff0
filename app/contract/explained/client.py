"""What the Python client raises beside the service's own answers (`stillhouse.errors` and below `stillhouse`)."""

from app.contract.explained.entry import Explained, Section

CLIENT = Section(
    "What the client raises",
    "Classes of `stillhouse.errors`, all of them `StillhouseError`. An answer of the service is a `ServiceError` of "
    "the class that its code has (`not_found`: `NotFound`); see above.",
    {
        "Unreachable": Explained(
            "Nothing answers at the URL, or the connection broke and stayed broken.",
            "Check `STILLHOUSE_URL` or `--url`, and that the service runs; `stillhouse serve` starts one here.",
        ),
        "UnexpectedAnswer": Explained(
            "Something answers that is no Stillhouse, or one of another version.",
            "Open the URL in a browser to see what it is; update the client where the service is newer.",
        ),
        "WaitTimeout": Explained(
            "What was waited for did not happen in the time given. It still goes on.",
            "Wait again, with a longer `timeout` or none; nothing is lost.",
        ),
        "ModelRejected": Explained(
            "The inspection of a model found problems, all in `problems`.",
            "See `inspection.code` above; `resource` has all that was found.",
        ),
        "DatasetRejected": Explained(
            "The inspection of a data set found problems, all in `problems`.",
            "See `inspection.code` above; `resource` has all that was found.",
        ),
        "JobFailed": Explained(
            "The job ended without a student: it failed, was cancelled, or expired.",
            "`failure` says why and what to do. A cancelled or expired job can be tried again: `job.retry()`, "
            "`stillhouse retry`.",
        ),
        "NoSuchArtifact": Explained(
            "The job has not published that file.",
            "Wait for the job's end (`job.wait()`), or take a kind that it has: `job.artifacts` lists them.",
        ),
        "NotCaptured": Explained(
            "A network cannot be written down as calls of operators that the service may run.",
            "`docs/captured_networks.md` says what can be captured. Upload its weights under a family's architecture, "
            "or the network as ONNX, if it teaches only.",
        ),
        "Corrupted": Explained(
            "The bytes that came are not the ones that the service announced; the file was not put in place.",
            "Download it again. If it happens twice, something between changes the bytes, or the store is damaged.",
        ),
        "UnreadableSpec": Explained(
            "The file given to `stillhouse submit` or `validate` is no YAML or JSON, or not a job spec.",
            "Mend the line that the message names; `examples/spec.yaml` is one that works.",
        ),
        "FolderInUse": Explained(
            "Another `stillhouse serve` runs on this data folder.",
            "Stop the other one, or choose another folder with `--data`.",
        ),
        "PortTaken": Explained(
            "Another program listens on the port.",
            "Choose another with `--port`; 0 takes a free one.",
        ),
        "NoKeys": Explained(
            "`stillhouse serve` was told to listen where others reach it, and there is no API key to know them by.",
            "Make the first key with `stillhouse keys bootstrap`, or leave `--host` out: then only this host is "
            "answered.",
        ),
        "NotReady": Explained(
            "A part of `stillhouse serve` did not come up in time.",
            "The message has the end of its log; a busy host may only need another try.",
        ),
        "ChildDied": Explained(
            "A part of `stillhouse serve` ended by itself.",
            "The message has the end of its log: mostly a full disk, too little memory, or a folder that cannot be "
            "written. Start it again; jobs go on from their checkpoints.",
        ),
    },
)
