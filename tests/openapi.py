"""The operations of the OpenAPI document, and the requests of its examples: what Swagger UI's "Execute" sends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.samples import service as samples

TEACHER = Path(samples.__file__).with_name("teacher.safetensors")


@dataclass(frozen=True)
class Operation:
    path: str
    method: str
    described: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.described["operationId"])

    @property
    def scope(self) -> str | None:
        """The scope that it needs; None where no key is needed."""
        wanted = self.described.get("security")
        return str(wanted[0]["api_key"][0]) if wanted else None

    @property
    def parameters(self) -> list[str]:
        """The names of the ids in its path."""
        return [one["name"] for one in self.described.get("parameters", []) if one["in"] == "path"]

    def requests(self, ids: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return one request for each example of the body. `ids`: in place of the samples' in the path."""
        path, headers, ids = self.path, {}, ids or {}
        for parameter in self.described.get("parameters", []):
            examples, name = list(parameter.get("examples", {}).values()), parameter["name"]
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", ids.get(name, parameter["examples"]["sample"]["value"]))
            elif parameter["in"] == "header" and examples:
                headers[name] = examples[0]["value"]
        sent = {"method": self.method, "url": path, "headers": headers}
        if "requestBody" not in self.described:
            return [sent]
        kind, body = next(iter(self.described["requestBody"]["content"].items()))
        if kind == "multipart/form-data":  # the user picks a file
            return [{**sent, "files": {"file": TEACHER.read_bytes()}}]
        if kind == "application/offset+octet-stream":  # same
            return [{**sent, "content": TEACHER.read_bytes(), "headers": {**headers, "Content-Type": kind}}]
        return [{**sent, "json": example["value"]} for example in body["examples"].values()]


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(path, method.upper(), described)
