"""Every code that a user can meet, explained: one source for answers, the client, `/errors` and docs/errors.md."""

from app.contract.explained.client import CLIENT
from app.contract.explained.entry import Explained, Section
from app.contract.explained.exits import EXITS
from app.contract.explained.http import PROBLEMS
from app.contract.explained.inspections import REJECTIONS
from app.contract.explained.jobs import FAILURES, STOPS, WAITS
from app.contract.explained.webhooks import DELIVERIES, DISABLED

SECTIONS = (PROBLEMS, FAILURES, WAITS, STOPS, REJECTIONS, DELIVERIES, DISABLED, CLIENT, EXITS)

__all__ = [
    "CLIENT", "DELIVERIES", "DISABLED", "EXITS", "FAILURES", "PROBLEMS", "REJECTIONS", "SECTIONS", "STOPS", "WAITS",
    "Explained", "Section", "remedy",
]  # fmt: skip


def remedy(section: Section, code: str) -> str:
    """Return what to do about a code; empty where it is none of the section's, but a newer service's or a proxy's."""
    return section.codes[code].remedy if code in section.codes else ""
