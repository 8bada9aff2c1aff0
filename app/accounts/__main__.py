"""`python -m app.accounts bootstrap`: make the first key on the service's own host, and print it, alone, once.

`python -m app.accounts exist` tells by its exit status whether a key was ever made.
"""

import argparse
import asyncio
import sys

from sqlalchemy.exc import SQLAlchemyError

from app.accounts import service
from app.accounts.audit import Changes, Request
from app.accounts.callers import HOST
from app.accounts.pepper import pepper_of
from app.accounts.repository import ApiKeyRepository
from app.contract.accounts import ApiKeyCreate, Scope
from app.db.session import Database
from app.queue import Bell
from app.settings import Settings
from migrations import why_not


class Refused(Exception):
    """A sentence for people."""


async def bootstrap(database: Database, pepper: bytes, name: str, *, force: bool) -> str:
    """Return a new key of the default account with every scope. Raises Refused where an admin key is good already."""
    async with Changes(database, Request(HOST, "bootstrap")).transaction() as session:
        if not force and await ApiKeyRepository(session).any_admin():
            raise Refused("there is a key with the scope admin already: use it, or make another with --force")
        _, token = await service.create_key(session, HOST, ApiKeyCreate(name=name, scopes=list(Scope)), pepper)
    return token


async def exist(database: Database) -> bool:
    """Return whether a key was ever made."""
    async with database.reading() as session:
        return await ApiKeyRepository(session).any()


async def run(arguments: argparse.Namespace, settings: Settings) -> int:
    bell = Bell(settings.broker_url)
    database = Database(settings.database, bell)
    try:
        if reason := why_not(await database.revision()):
            raise Refused(reason)
        if arguments.command == "exist":
            return 0 if await exist(database) else 1
        sys.stdout.write(await bootstrap(database, pepper_of(settings), arguments.name, force=arguments.force) + "\n")
        return 0
    finally:
        await database.close()
        await bell.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m app.accounts", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("bootstrap", help="make a key with every scope and print it once")
    first.add_argument("--name", default="first administrator")
    first.add_argument("--force", action="store_true", help="also where there is such a key already")
    commands.add_parser("exist", help="exit status 0 where a key was ever made, 1 where not")
    try:
        return asyncio.run(run(parser.parse_args(), Settings()))
    except Refused as refused:
        reason = str(refused)
    except (SQLAlchemyError, OSError) as error:
        reason = f"the database cannot be used: {str(error).splitlines()[0]}"
    sys.stderr.write(f"stillhouse: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
