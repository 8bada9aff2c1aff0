"""`python -m migrations`: upgrade the configured database to the newest revision, all of it or nothing."""

import sys

from alembic import command
from sqlalchemy.exc import OperationalError

from app import logs
from app.settings import Settings
from migrations import config


def main() -> None:
    settings = Settings()
    logs.set_up(settings.log_format, settings.log_level)
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        command.upgrade(config(settings.database, settings.migration_lock_seconds), "head")
    except OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        sys.exit(f"the schema was not changed: {reason}; does another migration run, or is a table in use?")


if __name__ == "__main__":
    main()
