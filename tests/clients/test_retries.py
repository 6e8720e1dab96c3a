"""What is sent again, and when: the operations of the Python client, driven by hand."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import pytest

from callboard.client.errors import (
    ClientError,
    Conflict,
    NotDone,
    ServerUnavailable,
    ServerUnreachable,
    TooManyRequests,
    problem_of,
)
from callboard.client.files import Upload
from callboard.client.messages import Operation, Request, Response
from callboard.client.operations import Operations
from callboard.client.retries import OnOutage, Retries

ADDRESS = "http://127.0.0.1:8000"
ACCEPTED = Response(ADDRESS, 204, {})
OPERATIONS = Operations(Retries(30.0))


def refusal(status: int, code: str = "x", **headers: str) -> Response:
    return Response(ADDRESS, status, headers, json.dumps({"title": "No", "code": code}).encode())


def send(*, retry_for: float = 30.0, on_outage: OnOutage | None = None) -> Operation[Response]:
    return Retries(retry_for, on_outage).send(Request("GET", "/"))


def submission(key: str | None = None) -> Operation[Any]:
    return OPERATIONS.submit({"type": "a", "payload": {}}, key=key)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_while_the_server_is_away_or_overloaded(status: int) -> None:
    operation = send()
    pauses = [next(operation).pause]
    pauses += [operation.send(refusal(status)).pause for _ in range(4)]
    assert pauses[0] == 0
    assert 0.125 <= pauses[1] <= 0.25
    assert 1.0 <= pauses[4] <= 2.0
    with pytest.raises(StopIteration) as end:
        operation.send(ACCEPTED)
    assert end.value.value is ACCEPTED


def test_not_before_the_server_wants_it() -> None:
    operation = send()
    next(operation)
    assert operation.send(refusal(503, **{"retry-after": "7"})).pause == 7


def test_not_when_the_server_wants_it_later_than_the_caller() -> None:
    operation = send(retry_for=5)
    next(operation)
    with pytest.raises(TooManyRequests) as refused:
        operation.send(refusal(429, **{"retry-after": "6"}))
    assert refused.value.retry_after == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 412, 413, 422, 500, 507])
def test_not_what_is_refused_for_good(status: int) -> None:
    operation = send()
    next(operation)
    with pytest.raises(type(problem_of(refusal(status)))):
        operation.send(refusal(status, **{"retry-after": "0"}))


def test_a_submission_keeps_its_key() -> None:
    operation = submission()
    first = next(operation)
    second = operation.throw(ServerUnreachable("gone", sent=True))
    third = operation.send(refusal(503))
    keys = {request.headers["Idempotency-Key"] for request in (first, second, third)}
    assert len(keys) == 1
    assert next(submission("mine")).headers["Idempotency-Key"] == "mine"
    assert next(submission()).headers["Idempotency-Key"] not in keys


def test_a_submission_whose_first_request_is_still_under_way() -> None:
    operation = submission()
    next(operation)
    assert operation.send(refusal(409, **{"retry-after": "1"})).pause == 1
    with pytest.raises(Conflict):
        operation.send(refusal(409))


def test_a_result_that_is_not_there_yet_is_the_callers_business() -> None:
    operation = OPERATIONS.result(uuid4(), int, consume=False)
    next(operation)
    with pytest.raises(NotDone):
        operation.send(refusal(409, "not-done", **{"retry-after": "1"}))


def test_what_must_not_be_sent_twice() -> None:
    for make in (OPERATIONS.retry, OPERATIONS.delete):
        operation: Operation[Any] = make(uuid4())
        next(operation)
        # It has not arrived the first time.
        operation.throw(ServerUnreachable("nobody there", sent=False))
        with pytest.raises(ServerUnreachable):
            operation.throw(ServerUnreachable("gone", sent=True))
    operation = OPERATIONS.retry(uuid4())
    next(operation)
    with pytest.raises(ServerUnavailable):
        operation.send(refusal(503))


def test_a_file_is_sent_from_its_start_or_not_again() -> None:
    content = io.BytesIO(b"abc")
    operation = OPERATIONS.upload(Upload("a", content, "text/plain"))
    next(operation)
    content.read()
    operation.send(refusal(503))
    assert content.tell() == 0

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    operation = OPERATIONS.upload(Upload("a", Pipe(b"abc"), "text/plain"))
    next(operation)
    with pytest.raises(ServerUnavailable):
        operation.send(refusal(503))


def test_half_a_download_is_forgotten() -> None:
    sink = io.BytesIO()
    sink.write(b"before ")
    operation = OPERATIONS.download(uuid4(), sink)
    part = next(operation).sink
    assert part is not None
    part.write(b"hal")
    operation.throw(ServerUnreachable("gone", sent=True))
    assert sink.getvalue() == b"before "


def test_half_an_export_is_the_caller_s() -> None:
    sink = io.BytesIO()
    operation = OPERATIONS.export_history(sink, {})
    next(operation)
    part = operation.throw(ServerUnreachable("gone before the first byte", sent=True)).sink
    assert part is not None
    part.write(b"hal")
    with pytest.raises(ServerUnreachable):
        operation.throw(ServerUnreachable("gone", sent=True))
    assert sink.getvalue() == b"hal"


def test_an_outage_is_told_once() -> None:
    told: list[ClientError] = []
    operation = send(on_outage=told.append)
    next(operation)
    first = ServerUnreachable("gone", sent=True)
    operation.throw(first)
    operation.send(refusal(503))
    assert told == [first]


def test_who_is_told_of_an_outage_may_end_it() -> None:
    def give_up(error: ClientError) -> None:
        raise error

    operation = send(on_outage=give_up)
    next(operation)
    with pytest.raises(ServerUnavailable):
        operation.send(refusal(503))


def test_a_refusal_is_no_outage() -> None:
    told: list[ClientError] = []
    operation = send(on_outage=told.append)
    next(operation)
    with pytest.raises(Conflict):
        operation.send(refusal(409))
    assert told == []


@pytest.mark.parametrize("key", ["two\nlines", "grün"])
def test_a_key_that_no_header_can_hold_is_not_sent(key: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        next(submission(key))
