"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re
from typing import Final

from callboard.db.errors import ConfigurationError

_UNITS: Final = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def bytes_of(size: int | str, where: str) -> int:
    """Return ``size`` in bytes: a number of them, or text such as ``"512MiB"``, ``"1.5 GB"``.

    Args:
        size: a number of bytes, or text.
        where: the size was given, for the error.

    Raises:
        ConfigurationError: it is not a size.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(str(size))
    if match is None or match[2] not in _UNITS:
        raise ConfigurationError(
            f"{where}: the size {size!r} is not understood. Write bytes as a number, or 512MiB; units are "
            f"{', '.join(_UNITS)}."
        )
    return int(float(match[1]) * _UNITS[match[2]])
