"""Disks without room: what the kernel's refusals mean to people."""

import errno
import os

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Of a write: the disk is full, or the user's share of it."""
_RETRY = "and retry the job: it goes on from its last checkpoint."
_SENTENCES = {
    errno.ENOSPC: f"The disk of the job's directory on {{host}} is full. Make room there (STILLHOUSE_DATA) {_RETRY}",
    errno.EDQUOT: "The disk quota of the worker's user is used up where the job's directory lies, on {host}. Make room "
    f"there (STILLHOUSE_DATA), or raise it, {_RETRY}",
    errno.EFBIG: "A file in the job's directory would be larger than a process on {host} may write. Raise that limit "
    f"(ulimit -f; a job's own are 64 GiB) {_RETRY}",
}


def no_room(error: BaseException) -> str | None:
    """Return what to do where a write to a job's directory failed for want of room; None where it failed otherwise."""
    sentence = _SENTENCES.get(error.errno or 0) if isinstance(error, OSError) else None
    return sentence and sentence.format(host=os.uname().nodename)
