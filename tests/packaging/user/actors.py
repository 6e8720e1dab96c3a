"""A user's own actors, in a module whose name Callboard has for a package of its own."""

import dramatiq
from dramatiq.brokers.stub import StubBroker

from db import orders

their_broker = StubBroker()
dramatiq.set_broker(their_broker)


@dramatiq.actor
def count() -> None:
    print(orders.name)
