"""Which walls a worker puts around uploads.

Revision: 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sandbox", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("workers", schema=None) as batch_op:  # not before the rows that are there have it
        batch_op.alter_column("sandbox", server_default=None)
