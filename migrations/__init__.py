"""The schema's history (Alembic). `python -m migrations` brings the configured database to the newest revision."""

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory


def config(database_url: str) -> Config:
    """Return Alembic's configuration for a database; there is no alembic.ini."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent))
    settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    settings.attributes["database_url"] = database_url
    return settings


def head() -> str:
    """Return the newest revision that this code knows."""
    revision = ScriptDirectory.from_config(config("")).get_current_head()
    assert revision
    return revision
