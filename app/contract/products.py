"""What a finished job publishes: the files of its directory that become artifacts."""

from dataclasses import dataclass
from typing import Literal

ArtifactKind = Literal[
    "student", "generation", "card", "report", "manifest", "lock", "log", "config", "tokenizer", "plot", "onnx"
]


@dataclass(frozen=True)
class Product:
    """Files of one kind."""

    kind: ArtifactKind
    path: str
    """In the job's directory; a pattern where there may be several."""
    media_type: str


MANIFEST = Product("manifest", "out/manifest.json", "application/json")
PRODUCTS = (
    # No media type is registered for safetensors; octet-stream is what its own hub serves it as.
    Product("student", "out/student.safetensors", "application/octet-stream"),
    Product("generation", "out/generation-*.safetensors", "application/octet-stream"),
    Product("onnx", "out/student.onnx", "application/octet-stream"),
    Product("card", "out/README.md", "text/markdown; charset=utf-8"),
    Product("config", "out/config.json", "application/json"),
    Product("tokenizer", "out/tokenizer*.json", "application/json"),
    Product("plot", "out/*.png", "image/png"),
    Product("plot", "out/*.svg", "image/svg+xml"),
    Product("report", "out/report.json", "application/json"),
    Product("lock", "out/job.lock.json", "application/json"),
)
"""All but the manifest, which has the SHA-256 of each, and the log."""
