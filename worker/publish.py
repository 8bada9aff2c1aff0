"""The end that a job is run for: bytes into the store first, then one transaction that adds artifacts and finishes.

Safe to repeat: a crash between the two is followed by the same bytes under the same hashes.
"""

from dataclasses import dataclass
from pathlib import Path

from app.db.tables import Artifact
from app.jobs import leases
from app.jobs.leases import Lease
from app.store import Store
from worker.child import LOG


@dataclass(frozen=True)
class Product:
    """A file of the job's directory that becomes an artifact."""

    kind: str
    path: str
    media_type: str


PRODUCTS = (
    # No media type is registered for safetensors; octet-stream is what its own hub serves it as.
    Product("student", "out/student.safetensors", "application/octet-stream"),
    Product("report", "out/report.json", "application/json"),
    Product("manifest", "out/manifest.json", "application/json"),
    Product("lock", "out/job.lock.json", "application/json"),
    Product("log", LOG, "text/plain; charset=utf-8"),
)


async def store_products(folder: Path, lease: Lease, store: Store) -> list[Artifact]:
    """Put everything into the store; return the rows that are still to be added. Raises ServiceUnavailable."""
    return [await _store(folder, product, lease, store) for product in PRODUCTS if (folder / product.path).exists()]


async def _store(folder: Path, product: Product, lease: Lease, store: Store) -> Artifact:
    path = folder / product.path
    blob = await store.put_file(path)
    return leases.artifact(lease, product.kind, path.name, blob.size, blob.sha256, product.media_type)
