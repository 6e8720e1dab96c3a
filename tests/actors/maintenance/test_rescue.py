"""When workers are taken for lost."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

from structlog.testing import capture_logs

from callboard.actors.maintenance.duties import Maintenance
from callboard.db.fleet.workers import list_workers
from callboard.db.sql.engine import Database
from tests.faults.proxy import Network
from tests.support.databases import Databases, settings_of
from tests.support.factory import Factory
from tests.support.servers import ALL
from tests.support.until import until

LEASE = 2.0


def test_after_an_outage_workers_have_a_lease_to_be_seen_again(databases: Databases) -> None:
    """Or what they have produced meanwhile would depend on who is first."""
    url = databases.emptied(ALL[-1])
    directly = Database(settings_of(url), role="test")
    Factory(directly).worker("absent")

    def state() -> str:
        with directly.begin() as connection:
            [row] = list_workers(connection)
        return str(row["state"])

    with Network() as network, capture_logs() as logs:
        parts = urlsplit(url)
        way = network.way_to(parts.port or 5432)
        way.cut()
        by_way = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{way.port}"))
        settings = settings_of(by_way).model_copy(update={"lease_ttl": LEASE, "maintenance_interval": 0.1})
        database = Database(settings, role="test")
        maintenance = Maintenance(settings, database)
        maintenance.start()
        try:
            until(lambda: {"duty_postponed", "rescue"} <= {str(value) for log in logs for value in log.values()})
            time.sleep(LEASE)  # so long unseen, it would be lost at once
            back_at = time.monotonic()
            way.heal()
            until(lambda: state() == "lost")
            assert time.monotonic() - back_at > LEASE
        finally:
            maintenance.stop()
            database.close()
            directly.close()
