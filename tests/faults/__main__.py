"""``python -m tests.faults``: kill, cut and fill up what the system stands on, and count what it loses."""

from __future__ import annotations

import argparse
import itertools
import platform
import secrets
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.faults import (
    on_broker,
    on_clock,
    on_database,
    on_disk,
    on_handlers,
    on_mix,
    on_network,
    on_processes,
    report,
)
from tests.faults.deployment import Deployment
from tests.faults.run import Effort, Result, play
from tests.faults.scenario import SCENARIOS, Scenario

#: They enter their faults into the list.
MODULES = (on_processes, on_handlers, on_broker, on_database, on_network, on_disk, on_clock, on_mix)
#: In this order.
GROUPS = ("worker", "dispatcher", "api", "all", "handlers", "broker", "database", "network", "files", "clock", "mixed")

NORMAL = Effort(rate=70, before=2, after=3)
QUICK = Effort(rate=70, before=2, after=2)
LONG = Effort(rate=130, before=4, after=7)
_LONG_JOBS = 100_000


def main() -> int:
    arguments = _arguments()
    # So that a termination, too, stops all that runs and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    scenarios = sorted(SCENARIOS, key=lambda each: GROUPS.index(each.group))
    if arguments.quick:
        scenarios = [each for each in scenarios if each.quick]
    if arguments.only:
        scenarios = [each for each in scenarios if any(text in each.title for text in arguments.only)]
    effort = QUICK if arguments.quick else LONG if arguments.long else NORMAL
    print(f"seed {arguments.seed}, {len(scenarios)} scenarios", flush=True)
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="callboard-faults-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        with Deployment(Path(directory)) as deployment:
            versions = _versions(deployment)
            for scenario, draw in _plan(scenarios, results, least_jobs=_LONG_JOBS if arguments.long else 0):
                deployment.shorten_logs()
                result = play(scenario, deployment, Random(f"{arguments.seed} {scenario.name} {draw}"), effort)
                results.append(result)
                _tell(scenario, result)
                if (result.violations or result.late) and arguments.keep is not None:
                    deployment.keep_logs(arguments.keep / f"{len(results):02}")
    extent = "--quick " if arguments.quick else "--long " if arguments.long else ""
    command = f"make faults FLAGS='{extent}--seed {arguments.seed}'"
    text = report.table(results, command=command, versions=versions)
    print(text)
    if arguments.write:
        report.write(text)
    late = [result.scenario.title for result in results if result.late]
    if late:
        print(f"back later than they should: {'; '.join(late)}")
    return 1 if any(result.violations for result in results) else 0


def _plan(
    scenarios: Sequence[Scenario], results: Sequence[Result], *, least_jobs: int
) -> Iterator[tuple[Scenario, int]]:
    """Yield each scenario, then the last one with other draws until there have been enough jobs."""
    yield from ((scenario, 0) for scenario in scenarios)
    for draw in itertools.count(1):
        if sum(result.findings.accepted for result in results) >= least_jobs:
            return
        yield scenarios[-1], draw


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of everything drawn at random")
    parser.add_argument("--quick", action="store_true", help="the most common faults, some minutes")
    parser.add_argument("--long", action="store_true", help="more than 100,000 jobs")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="scenarios whose name contains one of these")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    parser.add_argument(
        "--keep", type=Path, metavar="DIRECTORY", help="where the logs of scenarios that failed or were late are kept"
    )
    return parser.parse_args()


def _tell(scenario: Scenario, result: Result) -> None:
    found = result.findings
    verdict = f"FAILED {result.violations}" if result.violations else "late" if result.late else "ok"
    print(
        f"{verdict:6} {scenario.title} | {found.accepted} jobs, working after "
        f"{found.working_after:.1f} s, caught up after {found.caught_up_after:.1f} s, repeated {found.repeated}, "
        f"fenced {found.fenced}, {result.outages} requests failed, {result.seconds:.0f} s",
        flush=True,
    )
    for remark in [*result.remarks, *(f"died: {name}" for name in result.died)]:
        print(f"       {remark}")
    for name in ("lost", "stuck", "two_outcomes", "submitted_twice", "overlapped", "doubled"):
        for job_id in sorted(getattr(found, name))[:5]:
            print(f"       {name}: {job_id}")
    for job_id, problem in list(found.wrong.items())[:5]:
        print(f"       wrong: {job_id}: {problem}")
    sys.stdout.flush()


def _versions(deployment: Deployment) -> str:
    [row] = deployment.rows("SHOW server_version")
    rabbitmq = deployment.rabbitmq.evaluate("rabbit:product_version()").strip('"')
    return f"PostgreSQL {row['server_version']}, RabbitMQ {rabbitmq}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
