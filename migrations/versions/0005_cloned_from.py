"""Which job a job is a clone of.

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cloned_from", sa.String(length=64), nullable=True))
        batch_op.create_index(batch_op.f("ix_jobs_cloned_from"), ["cloned_from"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_jobs_cloned_from_jobs"), "jobs", ["cloned_from"], ["id"], ondelete="SET NULL"
        )
