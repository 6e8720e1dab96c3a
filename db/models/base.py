"""The schema of all tables, and the naming convention of their constraints."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData

SCHEMA = "callboard"
TIME = DateTime(timezone=True)

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    },
)
