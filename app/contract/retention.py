"""What the service removes by itself, and when."""

from app.contract.resources import Resource


class Removal(Resource):
    """What is due of one kind."""

    kind: str
    """checkpoints, soft_targets, webhook_deliveries, jobs, models, datasets, files: rows. orphans, set_aside: stored
    bytes."""
    reason: str
    """The rule, with its setting."""
    count: int
    bytes: int
    """What the removed name; bytes that others name as well stay in the store."""
    first: list[str]
    """Ids of up to ten of them (SHA-256 of stored bytes)."""


class Retention(Resource):
    """What the next pass of the janitor would remove, by kind, in the order in which it goes."""

    removals: list[Removal]
