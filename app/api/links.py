"""The links of the OpenAPI document: where an id is asked for next. Swagger UI shows them, `make fuzz` walks them.

They follow from the paths: what `POST /v1/things` answers has its id in `/v1/things/{thing_id}` and in all below that.
What no operation makes is found in a list, whose first entry is linked. Where a body takes an id, the whole of it is
given.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_ALSO_MAKES = {"retry_job": "202"}
_ID, _FIRST_ID = "$response.body#/id", "$response.body#/data/0/id"
_KIND = re.compile(r"/(\w+)/\{(\w+)\}")
_FURTHER = {"append_to_upload": {"Upload-Offset": "$response.body#/offset"}}
"""What an operation takes from the answer besides the id."""
_IN_BODIES = {
    "create_dataset": {"files": "file"},
    "create_job": {"models": "teacher", "datasets": "transfer_set"},
    "create_model": {"files": "file", "jobs": "job"},
}
"""Which field of a body takes the id of which things."""


@dataclass(frozen=True)
class _Operation:
    path: str
    method: str
    described: dict[str, Any]

    @cached_property
    def id(self) -> str:
        return str(self.described["operationId"])

    @cached_property
    def made(self) -> dict[str, Any] | None:
        """The answer that has the id of something new."""
        answer: dict[str, Any] | None = self.described["responses"].get(_ALSO_MAKES.get(self.id, "201"))
        return answer

    def kind(self, kinds: Iterable[str]) -> str:
        """Return which things its answer is about: `jobs` of /v1/jobs and /v1/jobs/{job_id}/clone."""
        last = self.path.rsplit("/", 1)[1]
        return last if last in kinds else "".join(name for name, _ in _KIND.findall(self.path)[-1:])

    @cached_property
    def ids(self) -> list[str]:
        """The parameters of its path."""
        return [name for _, name in _KIND.findall(self.path)]

    def with_ids(self, ids: dict[str, str]) -> dict[str, Any]:
        """Return the link that leads here, by expressions that find the ids of the path."""
        headers = {one["name"]: one for one in self.described["parameters"] if one["in"] == "header"}
        parameters = {name: ids[name] for name in self.ids} | _FURTHER.get(self.id, {})
        if tus := headers.get("Tus-Resumable"):
            parameters["Tus-Resumable"] = tus["examples"]["tus"]["value"]
        return {"operationId": self.id, "parameters": parameters}

    def with_body(self, field: str) -> dict[str, Any]:
        """Return the link that leads here with an id in the body: the example's, where that has it too."""
        examples = self.described["requestBody"]["content"]["application/json"]["examples"]
        body: dict[str, Any] = next((one["value"] for one in examples.values() if field in one["value"]), {})
        return {"operationId": self.id, "requestBody": {**body, field: _ID}}


def add(document: dict[str, Any]) -> None:
    """Write the links into the document."""
    operations = [
        _Operation(path, method, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    kinds = {kind: name for one in operations for kind, name in _KIND.findall(one.path)}
    makeable = {one.kind(kinds) for one in operations if one.made}
    for one in operations:
        kind = one.kind(kinds)
        known = {name: f"$request.path.{name}" for name in one.ids}
        if one.made:
            one.made["links"] = _by_id(operations, kinds[kind], known, _ID) | _in_bodies(operations, kind)
        elif one.path.endswith(f"/{kind}") and kind not in makeable:
            one.described["responses"]["200"]["links"] = _by_id(operations, kinds[kind], known, _FIRST_ID)


def _by_id(operations: Sequence[_Operation], named: str, known: dict[str, str], expression: str) -> dict[str, Any]:
    """Return the links to what takes this id, and no other that is not known."""
    ids = {**known, named: expression}
    return {one.id: one.with_ids(ids) for one in operations if named in one.ids and ids.keys() >= set(one.ids)}


def _in_bodies(operations: Sequence[_Operation], kind: str) -> dict[str, Any]:
    asking = [(one, _IN_BODIES[one.id]) for one in operations if one.id in _IN_BODIES]
    return {one.id: one.with_body(fields[kind]) for one, fields in asking if kind in fields}
