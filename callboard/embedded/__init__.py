"""The embedded PostgreSQL of ``callboard up``, for machines without a configured one."""
