"""The answers of the HTTP interface (`app.contract.errors`)."""

from app.contract.explained.entry import Explained, Section

PROBLEMS = Section(
    "Answers of the service",
    "`code` of an `application/problem+json` answer (RFC 9457). `detail` says what it was this time, `errors` which "
    "fields, `request_id` finds it in the log.",
    {
        "bad_request": Explained(
            "The request cannot be read: not JSON, a header, a query or a cursor of the wrong form, or an upload that "
            "broke off.",
            "Mend what `detail` names and send it again. An upload that broke off goes on from its offset.",
        ),
        "unauthorized": Explained(
            "The service knows nobody by this request: it has no API key, or one that is unknown, damaged, expired or "
            "revoked; or there are no keys yet, and the request is of another host.",
            "Send the key as `Authorization: Bearer sh_…`; the client has it from `STILLHOUSE_API_KEY`. Somebody with "
            "the scope `admin` makes one, and whoever runs the service the first: `stillhouse keys bootstrap`.",
        ),
        "forbidden": Explained(
            "The API key is good, and its scopes do not cover this.",
            "Take a key that has the scope that `detail` names; somebody with the scope `admin` can make one.",
        ),
        "not_found": Explained(
            "There is nothing under this path, or nothing with this id that is yours.",
            "Check the id and the service's URL; a list (`GET /v1/jobs`, `stillhouse jobs`) shows what there is. What "
            "was deleted does not come back.",
        ),
        "method_not_allowed": Explained(
            "The path is there and does not take this method.",
            "Take one that the header `Allow` names; `/docs` lists every operation.",
        ),
        "request_timeout": Explained(
            "The request's head or body came in too slowly.",
            "Send it again over a better line; an upload goes on from its offset. Whoever runs the service may lower "
            "`STILLHOUSE_SLOWEST_BYTES_PER_SECOND`.",
        ),
        "conflict": Explained(
            "The resource is in a state in which this cannot be done: a job that is over is cancelled, say, or a file "
            "deleted that a model still names.",
            "Read the resource again and do first what `detail` says.",
        ),
        "quota_exceeded": Explained(
            "The account has as much as it may have of what `detail` names; nothing was begun.",
            "`stillhouse usage` (`GET /v1/usage`) shows each limit and what is used. Delete files and jobs, wait for "
            "jobs to end, or ask an administrator, who can raise it: `docs/limits.md`.",
        ),
        "gone": Explained(
            "The upload expired, was ended, or its bytes were not the announced ones; what had come was removed.",
            "Start a new upload.",
        ),
        "precondition_failed": Explained(
            "`If-Match` names a version that is not the newest any more: somebody changed the resource. Of an upload: "
            "`Tus-Resumable` names another version of tus than 1.0.0.",
            "`GET` the resource again, look at what changed, and send the change with its new `ETag`.",
        ),
        "payload_too_large": Explained(
            "The body or the file is larger than this service allows, or than was announced.",
            "Files go to `/v1/files` or `/v1/uploads` and never into JSON. Whoever runs the service may raise "
            "`STILLHOUSE_LIMIT_UPLOAD_BYTES` or `STILLHOUSE_MAX_BODY_BYTES`, and `client_max_body_size` in nginx.",
        ),
        "unsupported_media_type": Explained(
            "The body's `Content-Type` is not the one that this operation takes.",
            "Send what `detail` names: `multipart/form-data` to `/v1/files`, `application/offset+octet-stream` to an "
            "upload, `application/json` to all else.",
        ),
        "range_not_satisfiable": Explained(
            "The `Range` lies outside the file.",
            "`Content-Range` says how long it is. A download that wants to go on from there is complete: check its "
            "SHA-256.",
        ),
        "invalid_request": Explained(
            "The request can be read, and a field of it is not allowed.",
            "Mend each field that `errors` points at.",
        ),
        "invalid_spec": Explained(
            "The job cannot run as it is: a field is not allowed, something it names is not there, or student, "
            "teacher, transfer set and terms do not fit one another.",
            "Mend each field that `errors` points at. `POST /v1/jobs/validate` (`stillhouse validate`) checks without "
            "queueing.",
        ),
        "digest_mismatch": Explained(
            "The bytes that came do not have the announced SHA-256; nothing was kept.",
            "Send the file again. If it happens twice, the announced digest is of another file.",
        ),
        "idempotency_key_reused": Explained(
            "The `Idempotency-Key` was used before, for a request with another body.",
            "Take a new key for a new request; the same key only repeats the same one.",
        ),
        "locked": Explained(
            "Another request is at work on this upload.",
            "Wait as long as `Retry-After` says, ask for its offset, and go on from there.",
        ),
        "rate_limited": Explained(
            "More requests than the account may send, or, without a good key, than one address may; nothing was done.",
            "Wait as long as `Retry-After` says, as the client does by itself; the headers `RateLimit-Policy` and "
            "`RateLimit` say what is allowed and what is left. An administrator can raise `requests_per_minute`: "
            "`docs/limits.md`.",
        ),
        "checksum_mismatch": Explained(
            "A part of an upload came in damaged; none of it was kept.",
            "Send the part again from the same offset.",
        ),
        "internal_error": Explained(
            "A mistake of ours.",
            "Tell whoever runs the service the `request_id`: the log has the traceback under it. Sending the same "
            "again is safe with an `Idempotency-Key`.",
        ),
        "artifact_corrupt": Explained(
            "The row is there and the store does not hold its bytes any more.",
            "Whoever runs the service restores the store from a backup (`docs/deployment.md`). A student can be made "
            "again by cloning its job, a file by uploading it again.",
        ),
        "service_unavailable": Explained(
            "The database or the store cannot be reached for the moment; nothing was changed.",
            "Send it again after `Retry-After` seconds, as the client does by itself. If it stays so, `/readyz` says "
            "which part is away.",
        ),
        "storage_full": Explained(
            "The service's disk has no room for the upload, or would keep less free than it must.",
            "Whoever runs the service makes room, or lowers `STILLHOUSE_FREE_SPACE_FLOOR_BYTES`. Deleting jobs and "
            "files frees space after `STILLHOUSE_ORPHAN_SECONDS`.",
        ),
    },
)
