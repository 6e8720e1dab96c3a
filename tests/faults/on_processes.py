"""Faults of Callboard's own processes."""

from __future__ import annotations

import signal

from tests.faults.deployment import APIS, DISPATCHERS, HANG_TIMEOUT, LEASE, ROLES, WORKERS
from tests.faults.mix import Kind
from tests.faults.scenario import Stage, scenario

# An orchestrator's: between the end of a process and the start of the next.
_RESTART_PAUSE = 1.0


@scenario("worker", "kill -9 of its process", resource="worker", caught_up_within=LEASE + 5)
def kill_worker_process(stage: Stage) -> None:
    """The supervisor sees it, reports it, and starts another one."""
    for pid in stage.deployment.processes[stage.random.choice(WORKERS)].children():
        stage.deployment.kill_pid(pid)


@scenario("worker", "kill -9 with its supervisor", resource="worker", caught_up_within=LEASE + 5, quick=True)
def kill_worker(stage: Stage) -> None:
    """As when a machine is lost: nobody reports it, its lease runs out."""
    name = stage.random.choice(WORKERS)
    stage.deployment.kill(name)
    stage.deployment.start(name)


@scenario("worker", "kill -9 of all three at once", resource="worker", within=LEASE + 5)
def kill_all_workers(stage: Stage) -> None:
    """It ends when others have been started in their place."""
    for name in WORKERS:
        stage.deployment.kill(name)
    for name in WORKERS:
        stage.deployment.start(name)
    stage.deployment.wait_until_consuming()


@scenario("worker", "kill -9 of the supervisor alone", resource="worker", caught_up_within=LEASE + 5)
def kill_supervisor(stage: Stage) -> None:
    """Its process is told to stop, and drains."""
    name = stage.random.choice(WORKERS)
    stage.deployment.processes[name].kill()
    stage.pause(_RESTART_PAUSE)
    stage.deployment.start(name)


@scenario("worker", "SIGTERM while jobs run", resource="worker", caught_up_within=LEASE + 5)
def terminate_worker(stage: Stage) -> None:
    name = stage.random.choice(WORKERS)
    stage.deployment.stop(name)
    stage.deployment.start(name)


@scenario("worker", "SIGSTOP beyond the lease, then SIGCONT", resource="worker", fences=True, quick=True)
def suspend_worker(stage: Stage) -> None:
    """A zombie that wakes and writes."""
    stage.load.submit([stage.mix.holding(2) for _ in range(12)])
    stage.pause(1)
    [pid] = stage.deployment.processes[stage.random.choice(WORKERS)].children()
    stage.deployment.signal(pid, signal.SIGSTOP)
    stage.pause(LEASE + 3)
    stage.deployment.signal(pid, signal.SIGCONT)


@scenario("worker", "SIGSTOP for good", resource="worker", mixed=False, fences=True, quick=True)
def freeze_worker(stage: Stage) -> None:
    """Its supervisor ends it, and starts another one."""
    stage.load.submit([stage.mix.holding(2) for _ in range(12)])
    stage.pause(1)
    process = stage.deployment.processes[stage.random.choice(WORKERS)]
    frozen = process.children()
    stage.deployment.signal(frozen[0], signal.SIGSTOP)
    stage.pause(HANG_TIMEOUT + 4)
    if process.children() == frozen:
        raise AssertionError("A process that hangs has not been replaced.")


@scenario("worker", "a poison job that kills whoever runs it", resource="worker", mixed=False)
def poison(stage: Stage) -> None:
    stage.load.submit([stage.mix.of(Kind.POISON) for _ in range(2)])
    stage.pause(12)


@scenario("dispatcher", "kill -9 of each, one after the other", resource="dispatcher", within=5)
def kill_dispatchers(stage: Stage) -> None:
    for name in DISPATCHERS:
        stage.deployment.kill(name)
        stage.pause(_RESTART_PAUSE)
        stage.deployment.start(name)
        stage.pause(4)


@scenario("dispatcher", "kill -9 of both at once", resource="dispatcher", within=10, quick=True)
def kill_both_dispatchers(stage: Stage) -> None:
    for name in DISPATCHERS:
        stage.deployment.kill(name)
    stage.pause(_RESTART_PAUSE)
    for name in DISPATCHERS:
        stage.deployment.start(name)


@scenario("dispatcher", "SIGTERM of each", resource="dispatcher", within=5)
def terminate_dispatchers(stage: Stage) -> None:
    for name in DISPATCHERS:
        stage.deployment.stop(name)
        stage.deployment.start(name)
        stage.pause(4)


@scenario("dispatcher", "SIGSTOP of each for a while, then SIGCONT", resource="dispatcher")
def suspend_dispatchers(stage: Stage) -> None:
    """Stopped at any point, with rows locked and messages half sent."""
    for name in DISPATCHERS:
        process = stage.deployment.processes[name]
        process.send(signal.SIGSTOP)
        stage.pause(LEASE + 1)
        process.send(signal.SIGCONT)
        stage.pause(_RESTART_PAUSE)


@scenario("api", "kill -9 of each, one after the other", resource="api", within=5)
def kill_apis(stage: Stage) -> None:
    for name in APIS:
        stage.deployment.kill(name)
        stage.pause(_RESTART_PAUSE)
        stage.deployment.start(name)
        stage.pause(3)


@scenario("api", "SIGTERM of each", resource="api", within=5)
def terminate_apis(stage: Stage) -> None:
    for name in APIS:
        stage.deployment.stop(name)
        stage.deployment.start(name)
        stage.pause(3)


@scenario("api", "SIGSTOP of each for a while, then SIGCONT", resource="api", within=5)
def suspend_apis(stage: Stage) -> None:
    for name in APIS:
        process = stage.deployment.processes[name]
        process.send(signal.SIGSTOP)
        stage.pause(LEASE)
        process.send(signal.SIGCONT)


@scenario(
    "all",
    "kill -9 of every process of Callboard at once",
    resource="everything",
    within=LEASE + 10,
    mixed=False,
    quick=True,
)
def kill_everything(stage: Stage) -> None:
    for names in ROLES.values():
        for name in names:
            stage.deployment.kill(name)
    for names in ROLES.values():
        for name in names:
            stage.deployment.start(name)
    stage.deployment.wait_until_ready()
    stage.deployment.wait_until_consuming()
