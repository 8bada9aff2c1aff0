"""Several models in a job, and models that jobs make.

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_models",
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.String(length=64), nullable=False),
        sa.Column("part", sa.String(length=16), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_models_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name=op.f("fk_job_models_model_id_models")),
        sa.PrimaryKeyConstraint("job_id", "model_id", "part", name=op.f("pk_job_models")),
    )
    with op.batch_alter_table("job_models", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_job_models_model_id"), ["model_id"], unique=False)

    op.execute(
        "INSERT INTO job_models (job_id, model_id, part, tenant_id) "
        "SELECT id, teacher_id, 'teacher', tenant_id FROM jobs"
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_jobs_teacher_id"))
        batch_op.drop_constraint(batch_op.f("fk_jobs_teacher_id_models"), type_="foreignkey")
        batch_op.drop_column("teacher_id")

    with op.batch_alter_table("models", schema=None) as batch_op:
        batch_op.add_column(sa.Column("job_id", sa.String(length=64), nullable=True))
        batch_op.alter_column("file_id", existing_type=sa.VARCHAR(length=64), nullable=True)
        batch_op.create_index(batch_op.f("ix_models_job_id"), ["job_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_models_job_id_jobs"), "jobs", ["job_id"], ["id"], ondelete="SET NULL"
        )
