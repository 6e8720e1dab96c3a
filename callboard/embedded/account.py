"""The operating-system user of the server: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from callboard.db.errors import ConfigurationError

# Debian's and Alpine's packages create the first; the second is on every Linux.
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user and its main group, by number."""

    uid: int
    gid: int

    @property
    def is_current(self) -> bool:
        """Whether this process runs as that user."""
        return self.uid == os.geteuid()


def server_account(*directories: Path) -> Account:
    """Return the user of the server.

    An ordinary user runs it as itself. Root runs it as the owner of the first of ``directories`` that exists and is not
    root's (so a cluster keeps its owner), else as ``postgres``, else as ``nobody``.

    Raises:
        ConfigurationError: this is root and the system has none of these users.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for directory in directories:
        if directory.exists() and (status := directory.stat()).st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    for name in _UNPRIVILEGED:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user.pw_uid, user.pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and this system has neither a user 'postgres' nor 'nobody' to run it as. "
        "Run callboard as an ordinary user, or set CALLBOARD_DATABASE_URL."
    )
