"""``/v1/files`` and the files that jobs put out."""
