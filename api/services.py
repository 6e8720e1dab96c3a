"""The services that endpoints use, made once per application."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from fastapi import Request

from callboard.actors.types.registry import Registry
from callboard.api.auth.api_keys import ApiKeys
from callboard.api.auth.oidc import Tokens
from callboard.api.auth.stream_tickets import StreamTickets
from callboard.api.database.reads import JobReads
from callboard.api.database.submissions import SubmissionWriter
from callboard.api.database.threads import DatabaseThreads
from callboard.api.limits.quotas import Limits
from callboard.api.limits.uploads import Uploads
from callboard.api.live.estimates import Estimates
from callboard.api.live.job_waiters import JobWaiters
from callboard.api.live.streams import LiveStreams
from callboard.api.server.gauges import GaugeCache
from callboard.api.server.metrics import Metrics
from callboard.api.server.refusals import Refusals
from callboard.api.wire.body_threads import BodyThreads
from callboard.db.access.keys import read_keys
from callboard.db.errors import Unavailable
from callboard.db.files.storage import Storage
from callboard.db.reads.jobs import get_states
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

#: Seconds for which submissions and polls are repeated while the database is away. A restart, or a failover to a
#: standby that is ready, takes about as long.
_RETRY_FOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one application; endpoints get them from :func:`services_of`."""

    settings: Settings
    registry: Registry
    """The job types that clients may submit."""
    all_types: Registry
    """These, and those that only Callboard itself submits."""
    queues: frozenset[str]
    """The queues of these job types."""
    database: Database
    threads: DatabaseThreads
    storage: Storage
    """The bytes of uploaded files."""
    uploads: Uploads
    bodies: BodyThreads
    submissions: SubmissionWriter
    reads: JobReads
    waiters: JobWaiters
    live: LiveStreams
    estimates: Estimates
    metrics: Metrics
    refusals: Refusals
    gauges: GaugeCache
    keys: ApiKeys
    tokens: Tokens | None
    """None where no identity provider is set."""
    tickets: StreamTickets
    limits: Limits
    guards: DatabaseThreads
    """One thread for keys, quotas and refusals, which must not wait behind long reads."""

    @classmethod
    def open(
        cls,
        settings: Settings,
        registry: Registry,
        database: Database,
        storage: Storage,
        tokens: Tokens | None,
        metrics: Metrics,
        refusals: Refusals,
    ) -> Self:
        """Start the threads. Does not connect: the server runs before, and without, its database."""
        # The longest time that a request waits for the database, even if it hangs.
        timeout = settings.connect_timeout + settings.statement_timeout
        submittable = registry.select(lambda job_type: not job_type.internal)
        threads = DatabaseThreads(database, connections=settings.database_pool_size, timeout=timeout)
        guards = DatabaseThreads(database, connections=1, timeout=timeout)
        refusals.start(guards.run)
        return cls(
            settings=settings,
            registry=submittable,
            all_types=registry,
            queues=frozenset(submittable.queues),
            database=database,
            threads=threads,
            storage=storage,
            uploads=Uploads(storage),
            bodies=BodyThreads(),
            submissions=SubmissionWriter(database, queues=registry.queues, retry_for=_RETRY_FOR, timeout=timeout),
            reads=JobReads(database, retry_for=_RETRY_FOR, timeout=timeout),
            waiters=JobWaiters(lambda job_ids: threads.run(lambda connection: get_states(connection, list(job_ids)))),
            live=LiveStreams(settings, threads),
            estimates=Estimates(threads),
            metrics=metrics,
            refusals=refusals,
            gauges=GaugeCache(threads),
            keys=ApiKeys(lambda: guards.run(read_keys), retry_for=_RETRY_FOR),
            tokens=tokens,
            tickets=StreamTickets(secret.get_secret_value() if (secret := settings.ticket_secret) else None),
            limits=Limits(guards),
            guards=guards,
        )

    def stop(self) -> None:
        """End waits, streams and fetches. Called in the event loop, before :meth:`close`."""
        self.waiters.stop()
        self.live.stop()
        self.estimates.stop()
        self.keys.close()
        self.refusals.stop()
        if self.tokens is not None:
            self.tokens.close()

    def close(self) -> None:
        """Write the accepted submissions and the refusals, and end the threads.

        Blocks for up to some seconds: call it in a thread.
        """
        self.bodies.close()
        self.submissions.close()
        self.reads.close()
        self.threads.close()
        self.guards.close()
        if self.refusals.counted:
            with suppress(Unavailable), self.database.begin() as connection:
                self.refusals.write_rest(connection)


def services_of(request: Request) -> Services:
    """Return the services of the application that serves this request."""
    services: Services = request.app.state.services
    return services
