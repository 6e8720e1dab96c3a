"""First figures of Callboard's cost, each beside what it could at best be. Run by ``make bench``."""
