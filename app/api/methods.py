"""`python -m app.api.methods`: print docs/methods.md, a page on every method, from the catalogue."""

import json
import sys
from collections.abc import Iterable

from app.api.catalog import catalog
from app.contract.resources import CatalogMethod, Parameter

_INTRODUCTION = """# Methods

Terms of an objective, which are added up, each times its `weight` (a number or a schedule). Every one of them works
alone and beside any other, with accumulation, bf16 and exact resume. This page is made from the service's own
catalogue, `GET /v1/catalog`, which also has each method's JSON schema: `make methods` writes it.

`t`, `s`: outputs of teacher and student, `h_t`, `h_s`: what they hold at a pair of taps; `y`: label; `B`: batch; `T`:
temperature. **Looks at**: *outputs*, or what lies at a tap: a *map* of an image network, *tokens* (or steps) of a
network of texts or series, a *vector*, *attention* scores, or *qkv* (queries, keys, values).
"""
_TAPS = """## Taps

What a method of features looks at is named by pairs of taps, `layers`: a name alone (`"stage:1"`) means the same in
both networks, `{"teacher": "stage:3", "student": "stage:1"}` two different ones, and `"stage:*"` all of a kind, each
of the student's with the teacher's at the same relative depth. Several pairs are averaged by their `weight`. Names
are

- `stage:i`: an image network's last map of each resolution (`preact:i`: the same before its activation);
- `hidden:i`: states after layer i, those before the first layer being `hidden:0`; `attention:i`, `qkv:i` of each layer;
- `pooled`: what the classifier is given; `logits`; `layer:i`: a stage where there are stages, else a hidden state;
- the dotted path of any module, as in `named_modules()`.

Numbers below 0 count from the end. `GET /v1/models/{id}` lists them under `inspection.taps`, with layouts and shapes.
Where shapes differ an *adapter* is made by itself, trained with the student, kept in checkpoints and left out of the
student: a linear map of the channels, and averaged or interpolated rows and columns. Of an ensemble, `member` is
looked into. An ONNX teacher is a black box and has no taps.
"""
_BRANCHES = {
    "target": "Outputs",
    "feature": "Features",
    "channel": "Channels",
    "relation": "Relations",
    "attention": "Transformers",
    "dense": "Dense prediction",
    "embedding": "Embeddings",
    "language": "Language models",
}


def main() -> None:
    sys.stdout.write(page())


def page() -> str:
    """Return the page as Markdown."""
    methods = catalog().objectives
    by_branch = {branch: [method for method in methods if method.branch == branch] for branch in _BRANCHES}
    parts = [_INTRODUCTION, _table(method for found in by_branch.values() for method in found), _TAPS]
    for branch, found in by_branch.items():
        if found:
            parts += [f"## {_BRANCHES[branch]}\n", *map(_section, found)]
    return "\n".join(parts)


def _table(methods: Iterable[CatalogMethod]) -> str:
    lines = ["| method | | for | looks at | needs | |", "|---|---|---|---|---|---|"]
    lines += [
        f"| [`{method.kind}`](#{method.kind}) | {method.title} | {_task(method)} | {_looked_at(method)} "
        f"| {' and '.join(method.needs)} | {', '.join(_notes(method))} |"
        for method in methods
    ]
    return "\n".join(lines) + "\n"


def _task(method: CatalogMethod) -> str:
    """Return the tasks for which a method is made."""
    if not method.reads:
        return "classes" if method.distributions else "classes, embeddings"
    if set(method.reads) <= {"map"}:
        return "images"
    return "texts, ViT" if set(method.reads) <= {"tokens", "attention", "qkv"} else "any"


def _looked_at(method: CatalogMethod) -> str:
    return ", ".join(method.reads) or "outputs"


def _notes(method: CatalogMethod) -> list[str]:
    notes = [("adapter", method.joins == "adapted"), ("relates samples", method.relational), ("top-k", method.top_k)]
    return [words for words, holds in notes if holds]


def _section(method: CatalogMethod) -> str:
    head = f"### {method.kind}\n\n**{method.title}.** {method.description}\n"
    facts = f"{method.paper}\n\n    {method.formula}\n"
    return "\n".join([head, facts, *map(_parameter, method.parameters), ""])


def _parameter(parameter: Parameter) -> str:
    words = f": {' '.join(parameter.description.split())}" if parameter.description else ""
    return f"- `{parameter.name}` = `{json.dumps(parameter.default, ensure_ascii=False)}`{words}"


if __name__ == "__main__":
    main()
