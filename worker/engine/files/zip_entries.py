"""The directory of a ZIP archive, believed only within limits; nothing is ever extracted to disk."""

import zipfile
from pathlib import Path

from worker.engine.failures import Refused

MAX_ENTRIES = 100_000
PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Packings that are read; others swell without bounds before a byte is seen."""
_ENCRYPTED = 0x1


def read_entries(path: Path, most: int = MAX_ENTRIES) -> list[zipfile.ZipInfo]:
    """Return the archive's entries. Raises Refused where it is damaged, encrypted, or has absurdly many."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise Refused(f"The file starts like a ZIP archive, and is cut short or damaged ({error}).") from error
    if len(entries) > most:
        raise Refused(f"The archive has {len(entries):,} entries; at most {most:,} are read.")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise Refused("The archive is encrypted.")
    return entries
