"""An installed Callboard is whole, and light to import."""

from __future__ import annotations

from callboard import __all__ as names
from callboard import __version__
from tests.packaging.builds import ROOT
from tests.packaging.installed import Installed
from tests.support.databases import Databases
from tests.support.servers import ALL


def test_it_is_the_wheel_that_runs(installed: Installed) -> None:
    """Else none of these tests says anything."""
    path, *seen = installed.python("import callboard, sys; print(callboard.__file__, *sys.path, sep='\\n')").split("\n")
    assert path == str(installed.venv.packages / "callboard" / "__init__.py")
    assert str(ROOT) not in seen


def test_it_offers_its_names(installed: Installed) -> None:
    assert installed.python(f"from callboard import {', '.join(names)}; print(__version__)") == __version__


def test_importing_it_loads_nothing_else(installed: Installed) -> None:
    """A service that submits jobs pays for what it uses, when it uses it."""
    code = """
import sys
before = set(sys.modules)
import callboard
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(new - sys.stdlib_module_names))"""
    assert installed.python(code) == "callboard"


def test_the_command_says_what_it_is(installed: Installed) -> None:
    helped = installed.run("callboard", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "callboard up" in helped.stdout
    assert installed.run("callboard", "--version").stdout == f"callboard {__version__}\n"


def test_it_migrates_a_database(installed: Installed, databases: Databases) -> None:
    with databases.fresh(ALL[-1]) as url:
        for _ in range(2):  # the second finds nothing to do
            migrated = installed.run("callboard", "migrate", database_url=url)
            assert migrated.returncode == 0, migrated.stderr
