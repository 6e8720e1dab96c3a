"""${message}

Expand first, contract in a later release. Indexes on big tables: CONCURRENTLY, in a migration of their own.
"""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
