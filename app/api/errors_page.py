"""`python -m app.api.errors_page`: print docs/errors.md, every code that a user can meet, explained."""

import sys

from app.contract.explained import SECTIONS, Explained, Section

_INTRODUCTION = """# Errors, and what to do

Every running service has this page at `/errors`, and each code at `/errors/{code}`, where `type` of an error's answer
leads. Answers and failed jobs carry the sentence of *what to do* themselves, as `help`; the client adds it to its
exceptions, and `stillhouse` prints it. This page is made from `app/contract/explained/`: `make errors` writes it.
"""


def main() -> None:
    sys.stdout.write(page())


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *map(_section, SECTIONS)])


def _section(section: Section) -> str:
    rows = [_row(code, explained) for code, explained in section.codes.items()]
    table = "\n".join(["| code | meaning | what to do |", "|---|---|---|", *rows])
    return f"## {section.title}\n\n{section.where}\n\n{table}\n"


def _row(code: str, explained: Explained) -> str:
    return f"| `{code}` | {explained.meaning} | {explained.remedy} |".replace("| Nothing. |", "| |")


if __name__ == "__main__":
    main()
