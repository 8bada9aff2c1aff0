"""`python -m migrations`: upgrade the configured database to the newest revision."""

from alembic import command

from app.settings import Settings
from migrations import config


def main() -> None:
    settings = Settings()
    settings.data.mkdir(parents=True, exist_ok=True)
    command.upgrade(config(settings.database), "head")


if __name__ == "__main__":
    main()
