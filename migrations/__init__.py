"""The schema's history (Alembic). `python -m migrations` brings the configured database to the newest revision."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory


def config(database_url: str, lock_seconds: float = 60.0) -> Config:
    """Return Alembic's configuration for a database; there is no alembic.ini.

    A migration waits `lock_seconds` at most for another one on the same database.
    """
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    settings.attributes["database_url"] = database_url
    settings.attributes["lock_seconds"] = lock_seconds
    return settings


@cache
def head() -> str:
    """Return the newest revision that this code knows."""
    revision = _history().get_current_head()
    assert revision
    return revision


def why_not(found: str | None) -> str | None:
    """Return why this code cannot use a database at the revision `found` (None: no schema), or None if it can."""
    if found == head():
        return None
    place = f"the database is at revision {found or 'none'}, this code needs {head()}"
    known = {script.revision for script in _history().walk_revisions()}
    if found is None or found in known:
        return f"{place}: run `python -m migrations`"
    return f"{place} and does not know the other: a newer version has been here"


def _history() -> ScriptDirectory:
    return ScriptDirectory.from_config(config(""))
