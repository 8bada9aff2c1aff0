"""The end that a job is run for: bytes into the store first, then one transaction that adds artifacts and finishes.

Safe to repeat: a crash between the two is followed by the same bytes under the same hashes.
"""

from pathlib import Path

from app.contract.products import MANIFEST, PRODUCTS, Product
from app.db.tables import Artifact
from app.jobs import leases
from app.jobs.leases import Lease
from app.store import Store
from worker.child import LOG

_PUBLISHED = (*PRODUCTS, MANIFEST, Product("log", LOG, "text/plain; charset=utf-8"))


async def store_products(folder: Path, lease: Lease, store: Store) -> list[Artifact]:
    """Put everything into the store; return the rows that are still to be added. Raises ServiceUnavailable."""
    return [await _store(path, product, lease, store) for product, path in _found(folder)]


def _found(folder: Path) -> list[tuple[Product, Path]]:
    return [(product, path) for product in _PUBLISHED for path in sorted(folder.glob(product.path))]


async def _store(path: Path, product: Product, lease: Lease, store: Store) -> Artifact:
    blob = await store.put_file(path)
    return leases.artifact(lease, product.kind, path.name, blob.size, blob.sha256, product.media_type)
