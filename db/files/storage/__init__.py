"""Bytes of uploaded files: a local directory, or an S3-compatible bucket."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from callboard.db.errors import ConfigurationError
from callboard.db.files.storage.base import Storage, Stored, StoredObject
from callboard.db.files.storage.bucket import BucketStorage
from callboard.db.files.storage.directory import DirectoryStorage
from callboard.db.settings import Settings

__all__ = ["BucketStorage", "DirectoryStorage", "Storage", "Stored", "StoredObject", "open_storage"]

_FORMS = "Write file:///absolute/directory or s3://bucket/prefix."


def open_storage(settings: Settings) -> Storage:
    """Return the storage at ``CALLBOARD_FILES_URL``; without one, the directory ``files`` of the data directory.

    A directory is created if it is missing, and tested. A bucket is not: a process may start before its storage.

    Raises:
        ConfigurationError: the URL is malformed, the directory cannot be written, or an ``AWS_*`` variable does not
            fit. The message does not repeat the URL, which may hold a secret.
    """
    if settings.files_url is None:
        return DirectoryStorage(settings.data_dir.absolute() / "files", max_bytes=settings.max_file_bytes)
    try:
        url = urlsplit(settings.files_url)
        netloc, path = url.netloc, unquote(url.path, errors="strict")
    except ValueError:
        raise ConfigurationError(f"CALLBOARD_FILES_URL is not a URL. {_FORMS}") from None
    if url.query or url.fragment or "@" in netloc:
        raise ConfigurationError(
            f"CALLBOARD_FILES_URL holds more than a place. {_FORMS} Credentials and the endpoint of an S3-compatible "
            "server come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL."
        )
    if url.scheme == "file" and netloc in {"", "localhost"} and path.startswith("/") and "\0" not in path:
        return DirectoryStorage(Path(path), max_bytes=settings.max_file_bytes)
    if url.scheme == "s3" and netloc:
        return BucketStorage(
            netloc, path.strip("/"), max_bytes=settings.max_file_bytes, connect_timeout=settings.connect_timeout
        )
    raise ConfigurationError(f"CALLBOARD_FILES_URL names no place for files. {_FORMS}")
