"""Why uploads are rejected (`app.contract.states.RejectionCode`)."""

from app.contract.explained.entry import Explained, Section
from app.contract.states import RejectionCode

REJECTIONS = Section(
    "Why an upload was rejected",
    "`inspection.code` of a model or data set whose `state` is `rejected`; `inspection.problems` has the sentences.",
    {
        RejectionCode.INVALID_UPLOAD: Explained(
            "The file is not what it was registered as: tensors that do not fit the architecture, a format that cannot "
            "be read, rows that are not well-formed.",
            "Mend what `inspection.problems` names, in the file or in the registration (`architecture`, `key_map`, "
            "`format`), and register again. The uploaded file is still there if only the registration was wrong.",
        ),
        RejectionCode.INSPECTION_FAILED: Explained(
            "The inspection did not come to an end: it took too long or too much memory, or it crashed on the file.",
            "Try once more to register it. If it fails again, whoever runs the service may raise "
            "`STILLHOUSE_INSPECTION_SECONDS` or `STILLHOUSE_INSPECTION_MEMORY_BYTES`; safetensors need the least "
            "of both.",
        ),
        RejectionCode.ARTIFACT_CORRUPT: Explained(
            "The store does not hold the file's bytes any more, or they have changed since they were uploaded.",
            "Upload the file again. If it happens more than once, check the store's disk.",
        ),
        RejectionCode.JOB_ENDED: Explained(
            "The job that was to make this model ended without a student.",
            "See that job's `failure`, retry it, and register the student of the retry.",
        ),
    },
)
