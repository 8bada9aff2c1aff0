"""Soft targets that hosts share.

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "soft_targets",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_soft_targets")),
    )
    with op.batch_alter_table("soft_targets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_soft_targets_sha256"), ["sha256"], unique=False)
        batch_op.create_index(batch_op.f("ix_soft_targets_used_at"), ["used_at"], unique=False)
