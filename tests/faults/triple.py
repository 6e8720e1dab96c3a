"""Every message of RabbitMQ three times, with the help of its message tracing ("firehose")."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.spec import Basic, BasicProperties

from tests.services.rabbitmq import RabbitmqServer

_TRACE = "amq.rabbitmq.trace"
_COPY = "callboard-copy"


@dataclass(slots=True)
class Repeated:
    """How many messages were sent twice more."""

    count: int = 0


@contextmanager
def triple_delivery(rabbitmq: RabbitmqServer, vhost: str) -> Iterator[Repeated]:
    """Until the end of the block, send two copies after each message that is published to a queue."""
    repeated = Repeated()
    connection = pika.BlockingConnection(pika.URLParameters(rabbitmq.url_of(vhost)))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, _TRACE, "publish.#")

    def repeat(of: BlockingChannel, _: Basic.Deliver, traced: BasicProperties, body: bytes) -> None:
        headers = traced.headers or {}
        properties = headers.get("properties", {})
        if properties.get("app_id") == _COPY:  # copies are traced, too
            return
        copy = BasicProperties(  # type: ignore[no-untyped-call]
            "application/json", delivery_mode=2, priority=properties.get("priority"), app_id=_COPY
        )
        for _copy in range(2):
            of.basic_publish("", headers["routing_keys"][0], body, copy)
        repeated.count += 1

    channel.basic_consume(queue, repeat, auto_ack=True)
    stop = threading.Event()

    def consume() -> None:
        while not stop.is_set():
            connection.process_data_events(time_limit=0.1)
        connection.close()

    rabbitmq.evaluate(f'rabbit_trace:start(<<"{vhost}">>)')
    thread = threading.Thread(target=consume, name="triple-delivery")
    thread.start()
    try:
        yield repeated
    finally:
        rabbitmq.evaluate(f'rabbit_trace:stop(<<"{vhost}">>)')
        stop.set()
        thread.join()
