"""The pepper of API keys: a secret beside the database, so that its rows alone let nobody in."""

import os
import secrets
from pathlib import Path

from app.settings import Settings


def pepper_of(settings: Settings) -> bytes:
    """Return the setting, or the content of `pepper` in the data folder, which is made once."""
    given = settings.key_pepper.get_secret_value()
    return given.encode() if given else _kept(settings.data / "pepper")


def _kept(path: Path) -> bytes:
    if not path.exists():
        _make(path)
    return path.read_bytes()


def _make(path: Path) -> None:
    """Write a new one, unless another process is quicker: it appears whole, or is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".pepper-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)  # refuses where the name is taken, which a rename would not
    except FileExistsError:
        return
    finally:
        draft.unlink()
