"""What RabbitMQ and the network do to the dispatcher."""

from __future__ import annotations

import threading
import time
from uuid import UUID

import pika
import pytest
from dramatiq import Message
from structlog.testing import capture_logs

from callboard.actors.broker.amqp import Rabbitmq
from callboard.actors.broker.messages import encode
from callboard.actors.broker.publisher import RabbitmqTransport
from callboard.actors.broker.transport import Dispatch, TransportError
from callboard.db.errors import ConfigurationError
from callboard.db.rules.attempts import AttemptId
from callboard.db.settings import load_settings
from tests.actors.conftest import amqp_channel, depth_of, dispatches, publishing_to
from tests.services.rabbitmq import RabbitmqServer
from tests.support.until import until

pytestmark = pytest.mark.xdist_group("rabbitmq")


def test_body_is_what_dramatiq_decodes() -> None:
    sent = Dispatch(AttemptId(UUID(int=7), 3), "table.analyze", "tables", 9)

    message: Message[None] = Message.decode(encode(sent))

    assert (message.queue_name, message.actor_name, message.message_id) == (
        "tables",
        "table.analyze",
        f"{UUID(int=7)}:3",
    )
    assert (message.args, message.kwargs, message.options) == ((str(UUID(int=7)), 3), {}, {})
    assert abs(message.message_timestamp - time.time() * 1000) < 10_000


def test_message_is_persistent_and_has_the_jobs_priority(
    transport: RabbitmqTransport, vhost_url: str, queue: str
) -> None:
    transport.depths([queue])
    transport.publish(dispatches(queue, 1, priority=8))

    with amqp_channel(vhost_url) as channel:
        _, properties, _ = channel.basic_get(f"callboard.{queue}", auto_ack=True)

    assert properties is not None
    assert (properties.delivery_mode, properties.priority) == (2, 8)


@pytest.mark.faults
def test_messages_outlive_a_killed_broker(
    transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    transport.depths([queue])
    assert len(transport.publish(dispatches(queue, 1_000))) == 1_000

    rabbitmq_server.kill()
    rabbitmq_server.start()

    until(lambda: depth_of(transport, queue) == 1_000, within=30)


def test_unroutable_messages_are_not_confirmed_and_their_queue_is_declared(
    transport: RabbitmqTransport, queue: str
) -> None:
    sent = dispatches(queue, 3)
    assert transport.publish(sent) == ()

    assert transport.depths([queue]) == {queue: 0}
    assert list(transport.publish(sent)) == sent


def test_only_the_unroutable_are_left_out(transport: RabbitmqTransport, queue: str) -> None:
    transport.depths([queue])
    here, nowhere = dispatches(queue, 500), dispatches(f"{queue}.other", 500)

    confirmed = transport.publish([each for pair in zip(here, nowhere, strict=True) for each in pair])

    assert [each for each in confirmed if each.queue == queue] == here
    # The missing queue is declared meanwhile, so the last of its messages may arrive.
    arrived = transport.depths([f"{queue}.other"])[f"{queue}.other"]
    assert len(confirmed) == len(here) + arrived < 1_000


def test_refused_messages_are_not_confirmed(
    transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, vhost_url: str, queue: str
) -> None:
    transport.depths([queue])
    vhost = vhost_url.rpartition("/")[2]
    rabbitmq_server.evaluate(
        f'rabbit_policy:set(<<"{vhost}">>, <<"short">>, <<".*">>, '
        '[{<<"max-length">>, 2}, {<<"overflow">>, <<"reject-publish">>}], 0, <<"queues">>, <<"tester">>)'
    )
    until(lambda: len(transport.publish(dispatches(queue, 10))) < 10)

    assert transport.publish(dispatches(queue, 10)) == ()


def test_nothing_to_do_needs_no_broker(transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer) -> None:
    rabbitmq_server.kill()

    assert transport.publish([]) == ()
    assert transport.depths([]) == {}


def test_depths_of_many_queues(transport: RabbitmqTransport, queue: str) -> None:
    queues = [f"{queue}.{number}" for number in range(30)]
    assert transport.depths(queues) == dict.fromkeys(queues, 0)
    transport.publish([each for number, name in enumerate(queues) for each in dispatches(name, number)])

    assert transport.depths([*queues, *queues]) == {name: number for number, name in enumerate(queues)}


def test_queue_declared_otherwise_is_left_out_until_it_is_deleted(
    transport: RabbitmqTransport, vhost_url: str, queue: str
) -> None:
    other = f"{queue}.other"
    with amqp_channel(vhost_url) as channel, capture_logs() as logs:
        channel.queue_declare(f"callboard.{queue}", durable=True)
        assert transport.depths([queue, other]) == {other: 0}
        assert transport.depths([queue, other]) == {other: 0}
        channel.queue_delete(f"callboard.{queue}")

    [refusal] = [entry for entry in logs if entry["event"] == "queue_refused"]
    assert refusal["queue"] == queue
    assert "406" in refusal["reason"]
    assert transport.depths([queue, other]) == {queue: 0, other: 0}


@pytest.mark.faults
def test_broker_away_is_an_error_within_bounds_and_over_when_it_is_back(
    transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    assert transport.depths([queue]) == {queue: 0}
    with capture_logs() as logs:
        rabbitmq_server.stop()
        for call in (lambda: transport.depths([queue]), lambda: transport.publish(dispatches(queue, 10))):
            start = time.monotonic()
            with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{rabbitmq_server.port}") as raised:
                call()
            assert time.monotonic() - start < 4
            assert rabbitmq_server.password not in str(raised.value)
        rabbitmq_server.start()

    until(lambda: depth_of(transport, queue) == 0, within=30)
    assert len(transport.publish(dispatches(queue, 10))) == 10
    assert rabbitmq_server.password not in str(logs)


def test_connection_closed_while_publishing_loses_nothing_silently(
    transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    transport.depths([queue])
    sent = dispatches(queue, 5_000)
    closer = threading.Timer(0.1, rabbitmq_server.close_connections)
    closer.start()
    try:
        confirmed = transport.publish(sent)
    except TransportError:
        confirmed = ()
    closer.join()

    until(lambda: depth_of(transport, queue) is not None)
    assert len(confirmed) <= transport.depths([queue])[queue] <= 5_000


def test_blocked_publishing_is_an_error_until_the_alarm_clears(
    transport: RabbitmqTransport, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    transport.depths([queue])
    rabbitmq_server.block_publishers()
    try:
        # Messages sent before clients are notified of the alarm may still be confirmed.
        until(lambda: not _publishes(transport, queue))
        for _ in range(2):
            start = time.monotonic()
            with pytest.raises(TransportError, match="publishing is blocked"):
                transport.publish(dispatches(queue, 10))
            assert time.monotonic() - start < 2
    finally:
        rabbitmq_server.unblock_publishers()

    until(lambda: _publishes(transport, queue))


def test_silent_broker_is_an_error_within_bounds(vhost_url: str, rabbitmq_server: RabbitmqServer, queue: str) -> None:
    transport = RabbitmqTransport(Rabbitmq.at(vhost_url, connect_timeout=1), confirm_timeout=1)
    transport.depths([queue])
    rabbitmq_server.suspend()
    try:
        for _ in range(3):
            start = time.monotonic()
            with pytest.raises(TransportError, match="no answer"):
                transport.publish(dispatches(queue, 10))
            assert time.monotonic() - start < 3
    finally:
        rabbitmq_server.resume()

    until(lambda: _publishes(transport, queue), within=30)
    transport.close()


def test_a_queue_without_a_leader_holds_up_the_others_once(
    vhost_url: str, rabbitmq_server: RabbitmqServer, queue: str
) -> None:
    """A quorum queue most of whose nodes are away takes messages, and confirms none."""
    transport = RabbitmqTransport(Rabbitmq.at(vhost_url, queue_type="quorum"), confirm_timeout=2)
    vhost, other = vhost_url.rpartition("/")[2], f"{queue}.other"
    assert transport.depths([queue, other]) == {queue: 0, other: 0}
    both = [*dispatches(queue, 3), *dispatches(other, 3)]
    assert len(transport.publish(both)) == 6
    assert rabbitmq_server.evaluate(f"sys:suspend('{vhost}_callboard.{queue}')") == "ok"

    with capture_logs() as logs:
        transport.depths([queue, other])
        assert [each.queue for each in transport.publish(both)] == [other] * 3
        start = time.monotonic()
        for number in range(6, 106, 2):
            assert transport.depths([queue, other]) == {other: number}
            assert len(transport.publish(dispatches(other, 2))) == 2
        assert time.monotonic() - start < 30  # each for itself would take 2 s

    assert [entry["queue"] for entry in logs if entry["event"] == "queue_silent"] == [queue]
    transport.close()


def test_second_address_serves_when_the_first_does_not(vhost_url: str, queue: str) -> None:
    urls = f"amqp://guest:pass@127.0.0.1:1/;amqp://guest:pass@nowhere.invalid/; {vhost_url}"

    with publishing_to(Rabbitmq.at(urls, connect_timeout=5)) as transport:
        assert transport.depths([queue]) == {queue: 0}


def test_errors_of_all_addresses_are_named_without_passwords(vhost_url: str, rabbitmq_server: RabbitmqServer) -> None:
    wrong = vhost_url.replace(rabbitmq_server.password, "S3cretly-wrong")
    urls = f"amqp://guest:S3cret@127.0.0.1:1/x;amqp://guest:S3cret@nowhere.invalid/;{wrong};{vhost_url}-missing"

    with publishing_to(Rabbitmq.at(urls, connect_timeout=2)) as transport:
        until(lambda: "missing" in _error_of(transport), within=30)
        text = _error_of(transport)

    assert "127.0.0.1:1/x: Connection refused" in text
    assert "nowhere.invalid:5672/: " in text
    assert "Login was refused" in text
    assert "S3cret" not in text
    assert rabbitmq_server.password not in text


@pytest.mark.parametrize(
    "url",
    [
        "",
        ";",
        "http://user:S3cret@host/",
        "amqp://user:S3/cret@host/vhost",
        "amqp://user:S3#cret@host/vhost",
        "amqp://user@host",
        "amqp://user:S3cret@host:port/",
        "amqp://user:S3cret@host/?heartbeat=often",
        "amqp://user:S3cret@host/?nonsense=S3cret",
        "amqp://user:S3cret@host/;user:S3cret@host",
    ],
)
def test_malformed_urls_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_AMQP_URL is not an AMQP URL") as raised:
        Rabbitmq.at(url)

    assert "S3" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_settings_make_parameters() -> None:
    url = "amqps://us%2Fer:pa%2Fss@a.example:5671/%2Fjobs?heartbeat=7"
    settings = load_settings(amqp_url=url, queue_type="quorum", connect_timeout=3)
    rabbitmq = Rabbitmq.from_settings(settings)
    [parameters] = rabbitmq.parameters("test")

    assert rabbitmq.declaration("q") == {
        "queue": "callboard.q",
        "durable": True,
        "arguments": {"x-queue-type": "quorum"},
    }
    assert (parameters.heartbeat, parameters.blocked_connection_timeout) == (7, 60)
    assert (parameters.socket_timeout, parameters.stack_timeout, parameters.connection_attempts) == (3, 3, 1)
    assert parameters.credentials == pika.PlainCredentials("us/er", "pa/ss")
    assert parameters.virtual_host == "/jobs"
    assert parameters.ssl_options is not None
    assert parameters.ssl_options.server_hostname == "a.example"
    assert "pa%2Fss" not in repr(rabbitmq)
    with pytest.raises(ConfigurationError, match="is not set"):
        Rabbitmq.from_settings(load_settings())


def _publishes(transport: RabbitmqTransport, queue: str) -> bool:
    try:
        return len(transport.publish(dispatches(queue, 1))) == 1
    except TransportError:
        return False


def _error_of(transport: RabbitmqTransport) -> str:
    with pytest.raises(TransportError) as raised:
        transport.depths(["any"])
    return str(raised.value)
