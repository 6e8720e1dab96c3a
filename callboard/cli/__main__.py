"""``python -m callboard.cli`` is ``callboard``."""

from callboard.cli import main

main()
