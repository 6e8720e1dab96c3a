"""The text of an API key: ``cb_<environment>_<key id>_<secret><checksum>``. Pure.

By the fixed form and the checksum, a server recognizes a mistyped key without a query, and secret scanners recognize a
leaked key without guessing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final, Self

PREFIX: Final = "cb_"

_ALPHABET: Final = string.digits + string.ascii_letters
_ID_LENGTH: Final = 12
#: 32 characters of 62: 190 bits, so a plain SHA-256 is as good as a slow hash.
_SECRET_LENGTH: Final = 32
#: 62 ** 6 is more than the 2 ** 32 values of a CRC-32.
_CHECKSUM_LENGTH: Final = 6
_FORM: Final = re.compile(
    rf"{PREFIX}([a-z0-9]{{1,16}})_([0-9A-Za-z]{{{_ID_LENGTH}}})_"
    rf"([0-9A-Za-z]{{{_SECRET_LENGTH}}})([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class KeyText:
    """The parts of a key. ``repr`` omits the secret; :meth:`reveal` does not."""

    environment: str
    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls, environment: str) -> Self:
        """Return a new key; ``environment`` is 1 to 16 lower-case letters and digits."""
        return cls(environment, _random(_ID_LENGTH), _random(_SECRET_LENGTH))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse a key; None if the form or the checksum is wrong (mistyped, cut off)."""
        match = _FORM.fullmatch(text)
        if match is None:
            return None
        environment, key_id, secret, checksum = match.groups()
        return cls(environment, key_id, secret) if checksum == _checksum(text[:-_CHECKSUM_LENGTH]) else None

    @property
    def secret_sha256(self) -> bytes:
        """The hash that is stored in place of the secret."""
        return hashlib.sha256(self.secret.encode()).digest()

    def reveal(self) -> str:
        """Return the whole key."""
        body = f"{PREFIX}{self.environment}_{self.key_id}_{self.secret}"
        return body + _checksum(body)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = []
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
