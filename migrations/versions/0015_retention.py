"""Pins, and since when what was uploaded is not used.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("files", "models", "datasets", "jobs"):
        op.add_column(table, sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false()))
    for table in ("files", "models", "datasets"):
        op.add_column(table, sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))
