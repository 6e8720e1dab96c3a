"""``/v1/jobs`` and ``/v1/run``: submit, show, list, stream, amend, cancel, retry."""
