"""What a worker is for, and how its devices are used.

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role", sa.String(length=16), nullable=False, server_default="distill"))
        batch_op.add_column(sa.Column("device_use", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("workers", schema=None) as batch_op:  # not before the rows that are there have both
        batch_op.alter_column("role", server_default=None)
        batch_op.alter_column("device_use", server_default=None)
