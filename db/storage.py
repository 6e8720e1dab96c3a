"""Bytes of uploaded files: a local directory or an S3-compatible bucket, through obstore."""
