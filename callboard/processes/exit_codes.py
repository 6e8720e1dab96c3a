"""What a child tells its supervisor with its exit code, beside 0."""

from __future__ import annotations

from typing import Final

#: It cannot work with these settings or job types, and has said why: another would not either.
EXIT_REFUSED: Final = 2
#: It has a defect.
EXIT_DEFECT: Final = 70  # EX_SOFTWARE of sysexits.h
#: It has no defect and is to be replaced, as it has reached a limit of jobs or memory.
EXIT_REPLACE: Final = 75  # EX_TEMPFAIL
