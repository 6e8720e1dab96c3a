"""Files: their rows, jobs' outputs, and the storage of bytes."""
