"""What the endpoints need, made once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from fastapi import Request

from callboard.actors.types.registry import Registry
from callboard.api.auth.api_keys import ApiKeys
from callboard.api.auth.oidc import Tokens
from callboard.api.database.reads import JobReads
from callboard.api.database.submissions import SubmissionWriter
from callboard.api.database.threads import DatabaseThreads
from callboard.api.limits.quotas import Limits
from callboard.api.live.job_waiters import JobWaiters
from callboard.api.live.streams import LiveStreams
from callboard.api.server.gauges import GaugeCache
from callboard.api.server.metrics import Metrics
from callboard.db.access.keys import read_keys
from callboard.db.files.storage import Storage
from callboard.db.reads.jobs import get_states
from callboard.db.settings import Settings
from callboard.db.sql.engine import Database

#: Seconds for which submissions and polls are tried again while the database is away: it takes about so long to
#: restart, or to fail over to a standby that is ready.
_RETRY_FOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Services:
    """Reached by endpoints through :func:`services_of`."""

    settings: Settings
    registry: Registry
    """Of the job types that clients may submit."""
    queues: frozenset[str]
    """Of the job types."""
    database: Database
    threads: DatabaseThreads
    storage: Storage
    """Bytes of uploaded files."""
    submissions: SubmissionWriter
    reads: JobReads
    waiters: JobWaiters
    live: LiveStreams
    metrics: Metrics
    gauges: GaugeCache
    keys: ApiKeys
    tokens: Tokens | None
    """None where no identity provider is set."""
    limits: Limits
    guards: DatabaseThreads
    """One thread for keys and limits, which must not wait behind long reads."""

    @classmethod
    def open(
        cls,
        settings: Settings,
        registry: Registry,
        database: Database,
        storage: Storage,
        tokens: Tokens | None,
        metrics: Metrics,
    ) -> Self:
        """Start the threads. Connects to nothing: the server is there before, and without, its database."""
        # Whatever hangs, a request has its answer after about this time.
        timeout = settings.connect_timeout + settings.statement_timeout
        submittable = registry.select(lambda job_type: not job_type.internal)
        threads = DatabaseThreads(database, connections=settings.database_pool_size, timeout=timeout)
        guards = DatabaseThreads(database, connections=1, timeout=timeout)
        return cls(
            settings=settings,
            registry=submittable,
            queues=frozenset(submittable.queues),
            database=database,
            threads=threads,
            storage=storage,
            submissions=SubmissionWriter(database, queues=registry.queues, retry_for=_RETRY_FOR, timeout=timeout),
            reads=JobReads(database, retry_for=_RETRY_FOR, timeout=timeout),
            waiters=JobWaiters(lambda job_ids: threads.run(lambda connection: get_states(connection, list(job_ids)))),
            live=LiveStreams(settings, threads),
            metrics=metrics,
            gauges=GaugeCache(threads),
            keys=ApiKeys(lambda: guards.run(read_keys), retry_for=_RETRY_FOR),
            tokens=tokens,
            limits=Limits(guards),
            guards=guards,
        )

    def stop(self) -> None:
        """End what waits or goes on in the event loop. Called in it, before :meth:`close`."""
        self.waiters.stop()
        self.live.stop()
        self.keys.close()
        if self.tokens is not None:
            self.tokens.close()

    def close(self) -> None:
        """Write what has been accepted and end the threads. Takes up to some seconds; call it in a thread."""
        self.submissions.close()
        self.reads.close()
        self.threads.close()
        self.guards.close()


def services_of(request: Request) -> Services:
    """Return the services of the application that serves this request."""
    services: Services = request.app.state.services
    return services
