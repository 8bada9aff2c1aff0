"""Why jobs fail, wait and stop (`app.contract.states`)."""

from app.contract.explained.entry import Explained, Section
from app.contract.states import BlockedBy, FailureCode, StopReason

FAILURES = Section(
    "Why a job failed",
    "`failure.code` of `GET /v1/jobs/{id}`, with `failure.detail` and, as `failure.help`, what stands here. "
    "`GET /v1/jobs/{id}/logs` (`stillhouse logs`) has what the training process printed.",
    {
        FailureCode.INVALID_SPEC: Explained(
            "The spec does not fit its teacher, its transfer set or its student, as was found when these had been "
            "inspected or were tried; or the job that was to make one of its models ended without a student.",
            "`detail` names the fields. Submit a spec that is mended, or one on the student of that job's retry; a "
            "retry of this one would fail again.",
        ),
        FailureCode.INVALID_WEIGHTS: Explained(
            "A model that it names was rejected at its inspection, or a teacher's outputs are not finite numbers.",
            "The model's `inspection` says why, and what to do: it lists tensors that are missing, unexpected or of "
            "another shape. Register it again, with the right architecture or `key_map` say, and submit on that.",
        ),
        FailureCode.INVALID_TRANSFER_SET: Explained(
            "The data set was rejected at its inspection, or cannot be trained on as the spec asks: labels or a split "
            "that a term needs are missing, say.",
            "`detail` names what is missing; the data set's `inspection` shows what was found. Register it with other "
            "splits, or choose terms that do without.",
        ),
        FailureCode.NON_FINITE_LOSS: Explained(
            "The loss became NaN or infinite, at the step and in the term that `detail` names. Nothing was published.",
            "Lower the learning rate, add a warm-up, set `clip_norm`, or take `fp32` instead of `bf16`. If it was the "
            "first step, look for NaN in the data.",
        ),
        FailureCode.OUT_OF_MEMORY: Explained(
            "It did not fit into memory, also with micro-batches halved as often as that helps.",
            "Take a smaller student, views of fewer pixels or tokens, or a host with more memory, and retry.",
        ),
        FailureCode.DISK_FULL: Explained(
            "The worker's disk has no room left for the job's directory.",
            "Whoever runs the worker makes room in `STILLHOUSE_DATA`; then retry: the job goes on from its checkpoint.",
        ),
        FailureCode.DEVICE_UNAVAILABLE: Explained(
            "The spec asks for `cuda`, and the worker that took the job has none.",
            "Set `device` to `auto`, or run a worker on a host with a GPU.",
        ),
        FailureCode.EXPORT_UNAVAILABLE: Explained(
            "The spec asks for ONNX, and the worker lacks the packages for it.",
            "Leave `export.onnx` out, or install `stillhouse[onnx]` where the worker runs.",
        ),
        FailureCode.ARTIFACT_CORRUPT: Explained(
            "Stored bytes of an input are missing, or are not those that were uploaded. Nothing was trained on them.",
            "Upload the file that `detail` names again, register it, and submit the job on that. If it happens more "
            "than once, check the store's disk.",
        ),
        FailureCode.WORKER_LOST: Explained(
            "`max_attempts` workers were lost while they held the job: killed, cut off, or their host went down.",
            "Look into the host's kernel log for the out-of-memory killer, and at `stillhouse workers`. Then retry: "
            "the job goes on from its checkpoint where that is on a host that still works.",
        ),
        FailureCode.ENGINE_CRASHED: Explained(
            "The training process ended by itself, `max_attempts` times or with an error that nobody expected.",
            "`detail` ends with its last words and the log has the traceback. Killed by SIGKILL mostly means memory: a "
            "smaller batch or a larger host. Anything else is worth a bug report with the log.",
        ),
        FailureCode.INTERNAL_ERROR: Explained(
            "The worker could not prepare the job; `detail` has the operating system's words.",
            "Whoever runs the worker looks into its log under the job's id (rights of `STILLHOUSE_DATA`, a broken "
            "disk); then retry.",
        ),
    },
)

WAITS = Section(
    "Why a job waits",
    "`blocked_by` of a queued job.",
    {
        BlockedBy.INSPECTION: Explained(
            "A model or a data set that it names is still being inspected.",
            "Nothing: it takes seconds to minutes. If it stays, no janitor is running (`python -m worker "
            "housekeeping`).",
        ),
        BlockedBy.JOB: Explained(
            "It needs the student of another job, which is not over.",
            "Nothing: it goes on when that job has succeeded, and fails if that one ends without a student.",
        ),
        BlockedBy.QUOTA: Explained(
            "As many jobs of its account have a worker as may at once.",
            "Nothing: it is taken when one of them is over. `stillhouse usage` shows the limit (`running_jobs`), which "
            "an administrator can raise: `docs/limits.md`.",
        ),
        BlockedBy.NO_FREE_DEVICE: Explained(
            "All workers are busy with other jobs, or keep what is free for one that needs several devices at once and "
            "is before this one.",
            "Wait, start another worker, raise `STILLHOUSE_SLOTS`, or raise the job's `priority`.",
        ),
        BlockedBy.TOO_FEW_DEVICES: Explained(
            "It asks for more `devices` than any worker that takes jobs has, or for CUDA (`device`) where none has it.",
            "`stillhouse workers` shows what there is. Start a worker on a host with so many, or cancel the job and "
            "submit it with fewer (`accumulation` makes up for them, in more time) or with `device` `auto`.",
        ),
        BlockedBy.NO_WORKER: Explained(
            "No worker that takes jobs is there: none runs, or all are drained.",
            "`stillhouse workers` shows who is there. Whoever runs the service starts one (`python -m worker distill`) "
            "or lets a drained one take jobs again.",
        ),
    },
)

STOPS = Section(
    "Why training stopped",
    "`stop_reason` of a job that has succeeded.",
    {
        StopReason.COMPLETED: Explained("All epochs were trained.", "Nothing."),
        StopReason.EARLY_STOP: Explained(
            "`early_stopping` saw no gain on the validation split for as long as its `patience`; the best student was "
            "kept.",
            "Nothing; raise `patience` if you want it to try longer.",
        ),
        StopReason.MAX_RUNTIME: Explained(
            "`max_runtime` was up before the last epoch: the student is as good as it had become by then.",
            "Clone the job's spec with a larger `max_runtime`, or fewer epochs, whose schedules then fit.",
        ),
    },
)
