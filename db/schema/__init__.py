"""The schema: migrations, partitions, analysts' roles."""
