"""/errors and /errors/{code}: what each code means and what to do. Where `type` of a problem document leads.

Pages without scripts and without anything from elsewhere; their one style is allowed by its hash.
"""

import re
from collections.abc import Iterable
from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.api.security_headers import hash_of, policy
from app.contract.errors import NotFound
from app.contract.explained import SECTIONS, Explained, Section

router = APIRouter(prefix="/errors", include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2.5rem 0 .5rem } h3 { margin: 1.5rem 0 0 } h3 a { color: inherit; text-decoration: none }
h3 a:hover, h3 a:focus { text-decoration: underline } :target { background: #ffd54a44 }
p { margin: .25rem 0 } code { font: .9em ui-monospace, monospace }
.do::before { content: "What to do: "; font-weight: 600 }
"""
_HEADERS = {"Content-Security-Policy": policy(f"style-src {hash_of(_STYLE)}"), "Cache-Control": "no-cache"}


@router.get("", response_class=HTMLResponse)
async def get_errors() -> HTMLResponse:
    """Everything on one page."""
    return _page("Errors, and what to do", map(_section, SECTIONS))


@router.get("/{code}", response_class=HTMLResponse)
async def get_error(code: str) -> HTMLResponse:
    """One code, in every place where it is met."""
    found = [Section(one.title, one.where, {code: one.codes[code]}) for one in SECTIONS if code in one.codes]
    if not found:
        raise NotFound(f"no error has the code {code}")
    return _page(code, [*map(_section, found), '<p><a href="../errors">All errors</a></p>'])


def _page(title: str, parts: Iterable[str]) -> HTMLResponse:
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>',
        headers=_HEADERS,
    )


def _section(section: Section) -> str:
    entries = (_entry(code, explained) for code, explained in section.codes.items())
    return f"<h2>{_text(section.title)}</h2><p>{_text(section.where)}</p>{''.join(entries)}"


def _entry(code: str, explained: Explained) -> str:
    head = f'<h3 id="{escape(code)}"><a href="#{escape(code)}"><code>{escape(code)}</code></a></h3>'
    return f'{head}<p>{_text(explained.meaning)}</p><p class="do">{_text(explained.remedy)}</p>'


def _text(markdown: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(markdown, quote=False))
