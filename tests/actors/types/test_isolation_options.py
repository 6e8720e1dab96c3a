"""``isolation`` and ``memory_limit``: what they accept, and that every way to make a job type takes them."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from callboard.actors.types.adopt import adopt
from callboard.actors.types.register import register
from callboard.actors.types.registry import Registry, job
from callboard.actors.types.sizes import bytes_of
from callboard.db.errors import ConfigurationError


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize(
    ("size", "expected"),
    [(1, 1), ("64MiB", 64 * 2**20), (" 1.5 GiB ", 3 * 2**29), ("2GB", 2 * 10**9), ("100 KB", 100_000), ("7B", 7)],
)
def test_sizes(size: int | str, expected: int) -> None:
    assert bytes_of(size, "here") == expected


@pytest.mark.parametrize("size", ["", "64", "64 mib", "-1MiB", "1e3MiB", "MiB"])
def test_sizes_that_are_none(size: str) -> None:
    with pytest.raises(ConfigurationError, match=r"here: .* is not understood"):
        bytes_of(size, "here")


def test_every_way_to_make_a_job_type_takes_them() -> None:
    registry = Registry()
    job("a", isolation="process", memory_limit="128MiB", into=registry)(double)
    register("b", double, isolation="process", memory_limit=2**27, into=registry)
    adopt(
        dramatiq.actor(actor_name="c", broker=StubBroker())(double),
        isolation="process", memory_limit="128MiB", into=registry,
    )  # fmt: skip
    job("d", into=registry)(double)

    assert [(job_type.isolation, job_type.memory_limit) for job_type in registry] == [
        ("process", 2**27),
        ("process", 2**27),
        ("process", 2**27),
        ("thread", None),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"isolation": "container"}, "isolation is 'container'"),
        ({"memory_limit": "128MiB"}, "without isolation='process'"),
        ({"isolation": "process", "memory_limit": "63MiB"}, "64 MiB or more"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        job("a", into=Registry(), **options)(double)
