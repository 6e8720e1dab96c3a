"""Faults of RabbitMQ."""

from __future__ import annotations

from tests.faults.deployment import VHOST
from tests.faults.scenario import Stage, scenario
from tests.faults.triple import triple_delivery

_AWAY = 3.0
_BACK = 10.0


@scenario("broker", "restarted in good order", resource="broker", within=_BACK)
def restart(stage: Stage) -> None:
    stage.deployment.rabbitmq.stop()
    stage.pause(_AWAY)
    stage.deployment.rabbitmq.start()


@scenario("broker", "kill -9, started again", resource="broker", within=_BACK, quick=True)
def kill(stage: Stage) -> None:
    stage.deployment.rabbitmq.kill()
    stage.pause(_AWAY)
    stage.deployment.rabbitmq.start()


@scenario("broker", "queues purged, three times", resource="broker", within=_BACK)
def purge(stage: Stage) -> None:
    for _ in range(3):
        stage.deployment.rabbitmq.purge(VHOST)
        stage.pause(0.5)


@scenario("broker", "memory alarm", resource="broker", within=_BACK)
def memory_alarm(stage: Stage) -> None:
    stage.deployment.rabbitmq.block_publishers()
    stage.pause(5)
    stage.deployment.rabbitmq.unblock_publishers()


@scenario("broker", "queues deleted", resource="broker", within=_BACK, quick=True)
def delete_queues(stage: Stage) -> None:
    stage.deployment.rabbitmq.delete_queues(VHOST)


@scenario("broker", "queues declared by others with other arguments", resource="broker", within=_BACK)
def other_arguments(stage: Stage) -> None:
    """Until an operator deletes them."""
    rabbitmq = stage.deployment.rabbitmq
    names = [f"callboard.{row['name']}" for row in stage.deployment.rows("SELECT name FROM queues")]
    for name in names:
        queue = f'rabbit_misc:r(<<"{VHOST}">>, queue, <<"{name}">>)'
        # In one step, or Callboard's processes would be first.
        rabbitmq.evaluate(
            f'[rabbit_amqqueue:delete(Q, false, false, <<"t">>) || {{ok, Q}} <- [rabbit_amqqueue:lookup({queue})]], '
            f'rabbit_amqqueue:declare({queue}, true, false, [{{<<"x-max-length">>, long, 7}}], none, <<"t">>)'
        )
    stage.pause(4)
    rabbitmq.delete_queues(VHOST)


@scenario("broker", "all connections closed, three times", resource="broker", within=_BACK)
def close_connections(stage: Stage) -> None:
    for _ in range(3):
        stage.deployment.rabbitmq.close_connections()
        stage.pause(1)


@scenario("broker", "suspended: connections open, no answers", resource="broker", within=_BACK)
def suspend(stage: Stage) -> None:
    stage.deployment.rabbitmq.suspend()
    stage.pause(6)
    stage.deployment.rabbitmq.resume()


@scenario("broker", "every message delivered three times", resource="messages", within=_BACK, quick=True)
def deliver_three_times(stage: Stage) -> None:
    with triple_delivery(stage.deployment.rabbitmq, VHOST) as repeated:
        stage.pause(8)
    stage.remarks.append(f"{repeated.count} messages were sent twice more")
