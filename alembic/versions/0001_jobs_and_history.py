"""Jobs, their history, and all that serves them."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

DESCRIBED = """
    type                text        NOT NULL,
    queue               text        NOT NULL,
    status              text        NOT NULL,
    priority            smallint    NOT NULL,
    owner               text        NOT NULL,
    payload             jsonb,
    tags                jsonb       NOT NULL DEFAULT '{}'::jsonb,
    attempt             integer     NOT NULL DEFAULT 0,
    retries             integer     NOT NULL DEFAULT 0,
    max_retries         integer     NOT NULL,
    time_limit          double precision NOT NULL,
    revision            integer     NOT NULL DEFAULT 0,
    scheduled_at        timestamptz,
    expires_at          timestamptz,
    started_at          timestamptz,
    attempt_started_at  timestamptz,
    cancel_requested_at timestamptz,
    worker_id           uuid,
    worker              text,
    progress            jsonb,
    error               jsonb,
    parent_id           uuid,
    batch_id            uuid,
    unique_key          text,
    fairness_key        text,
    concurrency_key     text,
    webhook_url         text,
    traceparent         text
"""

# fillfactor 40: a claimed row, larger by worker and times, finds room for its new version on its own page (a HOT
# update, which touches no index); with 50, a quarter of small jobs does not.
# autovacuum early and unthrottled: the table is small and every row of it dies soon.
JOBS = f"""
CREATE TABLE callboard.jobs (
    id                  uuid        NOT NULL CONSTRAINT jobs_pkey PRIMARY KEY,
    created_at          timestamptz NOT NULL,
    {DESCRIBED},
    due_at              timestamptz,
    dispatched_at       timestamptz,
    CONSTRAINT jobs_status_check
        CHECK (status IN ('blocked', 'queued', 'retrying', 'running', 'scheduled')),
    CONSTRAINT jobs_priority_check CHECK (priority BETWEEN 0 AND 9),
    CONSTRAINT jobs_attempt_check
        CHECK (attempt >= 0 AND retries >= 0 AND retries <= attempt AND max_retries >= 0),
    CONSTRAINT jobs_time_limit_check CHECK (time_limit > 0),
    CONSTRAINT jobs_due_check
        CHECK ((status IN ('blocked', 'scheduled', 'retrying')) = (due_at IS NOT NULL)),
    CONSTRAINT jobs_running_check
        CHECK ((status = 'running') = (attempt_started_at IS NOT NULL AND worker_id IS NOT NULL AND attempt > 0)),
    CONSTRAINT jobs_dispatched_check
        CHECK (dispatched_at IS NULL OR status IN ('queued', 'running'))
) WITH (
    fillfactor = 40,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
)
"""

JOBS_INDEXES = (
    """CREATE INDEX jobs_dispatch_idx ON callboard.jobs (queue, priority DESC, id)
       WHERE due_at IS NULL AND dispatched_at IS NULL""",
    "CREATE INDEX jobs_due_idx ON callboard.jobs (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX jobs_in_flight_idx ON callboard.jobs (queue, dispatched_at) WHERE dispatched_at IS NOT NULL",
    "CREATE INDEX jobs_expires_idx ON callboard.jobs (expires_at) WHERE expires_at IS NOT NULL",
    """CREATE UNIQUE INDEX jobs_unique_key_idx ON callboard.jobs (owner, type, unique_key)
       WHERE unique_key IS NOT NULL""",
    "CREATE INDEX jobs_owner_idx ON callboard.jobs (owner, id)",
    "CREATE INDEX jobs_parent_idx ON callboard.jobs (parent_id, id) WHERE parent_id IS NOT NULL",
)

HISTORY = f"""
CREATE TABLE callboard.job_history (
    id                  uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    {DESCRIBED},
    finished_at         timestamptz NOT NULL,
    result              jsonb,
    erased_at           timestamptz,
    deleted             boolean     NOT NULL DEFAULT false,
    CONSTRAINT job_history_pkey PRIMARY KEY (id, created_at),
    CONSTRAINT job_history_status_check CHECK (status IN ('cancelled', 'expired', 'failed', 'succeeded')),
    CONSTRAINT job_history_error_check CHECK (status <> 'succeeded' OR error IS NULL),
    CONSTRAINT job_history_result_check CHECK (status = 'succeeded' OR result IS NULL)
) PARTITION BY RANGE (created_at)
"""

HISTORY_INDEXES = (
    "CREATE INDEX job_history_owner_idx ON callboard.job_history (owner, id)",
    "CREATE INDEX job_history_type_idx ON callboard.job_history (type, id)",
    "CREATE INDEX job_history_parent_idx ON callboard.job_history (parent_id, id) WHERE parent_id IS NOT NULL",
    "CREATE INDEX job_history_unsuccessful_idx ON callboard.job_history (status, id) WHERE status <> 'succeeded'",
    """CREATE INDEX job_history_finished_idx ON callboard.job_history USING brin (finished_at)
       WITH (pages_per_range = 32, autosummarize = on)""",
)

ATTEMPTS = """
CREATE TABLE callboard.job_attempts (
    job_id              uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    attempt             integer     NOT NULL,
    outcome             text        NOT NULL,
    reason              text,
    worker_id           uuid        NOT NULL,
    worker              text        NOT NULL,
    started_at          timestamptz NOT NULL,
    finished_at         timestamptz NOT NULL,
    error_type          text,
    error_message       text,
    traceback           text,
    CONSTRAINT job_attempts_pkey PRIMARY KEY (job_id, attempt, created_at),
    CONSTRAINT job_attempts_outcome_check CHECK (outcome IN ('cancelled', 'failed', 'released', 'succeeded'))
) PARTITION BY RANGE (created_at)
"""

PROGRESS = """
CREATE TABLE callboard.job_progress (
    job_id              uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    attempt             integer     NOT NULL,
    seq                 integer     NOT NULL,
    reported_at         timestamptz NOT NULL,
    current             double precision NOT NULL,
    total               double precision,
    step                text,
    message             text,
    CONSTRAINT job_progress_pkey PRIMARY KEY (job_id, attempt, seq, created_at)
) PARTITION BY RANGE (created_at)
"""

DEFAULT_PARTITIONS = tuple(
    f"CREATE TABLE callboard.{table}_default PARTITION OF callboard.{table} DEFAULT"
    for table in ("job_history", "job_attempts", "job_progress")
)

OTHERS = (
    """
    CREATE TABLE callboard.workers (
        id              uuid        NOT NULL CONSTRAINT workers_pkey PRIMARY KEY,
        name            text        NOT NULL,
        host            text        NOT NULL,
        pid             integer     NOT NULL,
        version         text        NOT NULL,
        queues          text[]      NOT NULL,
        threads         integer     NOT NULL,
        state           text        NOT NULL,
        started_at      timestamptz NOT NULL,
        last_seen_at    timestamptz NOT NULL,
        CONSTRAINT workers_state_check CHECK (state IN ('draining', 'lost', 'running', 'stopped'))
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX workers_last_seen_idx ON callboard.workers (last_seen_at)",
    """
    CREATE TABLE callboard.queues (
        name              text        NOT NULL CONSTRAINT queues_pkey PRIMARY KEY,
        paused            boolean     NOT NULL DEFAULT false,
        dispatch_window   integer,
        concurrency_limit integer,
        rate_limit        integer,
        rate_period       double precision,
        created_at        timestamptz NOT NULL DEFAULT now(),
        updated_at        timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT queues_dispatch_window_check CHECK (dispatch_window > 0),
        CONSTRAINT queues_concurrency_limit_check CHECK (concurrency_limit >= 0),
        CONSTRAINT queues_rate_check
            CHECK (rate_limit >= 0 AND rate_period > 0 AND (rate_limit IS NULL) = (rate_period IS NULL))
    )
    """,
    """
    CREATE TABLE callboard.idempotency_keys (
        owner           text        NOT NULL,
        key             text        NOT NULL,
        job_ids         uuid[]      NOT NULL,
        request_hash    bytea       NOT NULL,
        expires_at      timestamptz NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (owner, key)
    )
    """,
    "CREATE INDEX idempotency_keys_expires_idx ON callboard.idempotency_keys (expires_at)",
    """
    CREATE TABLE callboard.api_keys (
        key_id                 text        NOT NULL CONSTRAINT api_keys_pkey PRIMARY KEY,
        secret_sha256          bytea       NOT NULL,
        name                   text        NOT NULL,
        owner                  text        NOT NULL,
        role                   text        NOT NULL,
        max_live_jobs          integer,
        submissions_per_second double precision,
        created_at             timestamptz NOT NULL DEFAULT now(),
        expires_at             timestamptz,
        revoked_at             timestamptz,
        CONSTRAINT api_keys_role_check CHECK (role IN ('admin', 'client', 'operator', 'viewer'))
    )
    """,
    """
    CREATE TABLE callboard.audit_log (
        id              uuid        NOT NULL CONSTRAINT audit_log_pkey PRIMARY KEY,
        at              timestamptz NOT NULL DEFAULT now(),
        actor           text        NOT NULL,
        action          text        NOT NULL,
        job_id          uuid,
        subject         text,
        remote          text,
        request_id      text
    )
    """,
    "CREATE INDEX audit_log_job_idx ON callboard.audit_log (job_id) WHERE job_id IS NOT NULL",
    """
    CREATE TABLE callboard.history_rollup (
        hour            timestamptz NOT NULL,
        type            text        NOT NULL,
        queue           text        NOT NULL,
        outcome         text        NOT NULL,
        jobs            bigint      NOT NULL,
        attempts        bigint      NOT NULL,
        wait_sum        double precision NOT NULL,
        wait_max        double precision NOT NULL,
        wait_histogram  bigint[]    NOT NULL,
        run_sum         double precision NOT NULL,
        run_max         double precision NOT NULL,
        run_histogram   bigint[]    NOT NULL,
        CONSTRAINT history_rollup_pkey PRIMARY KEY (hour, type, queue, outcome)
    )
    """,
    """
    CREATE TABLE callboard.files (
        id              uuid        NOT NULL CONSTRAINT files_pkey PRIMARY KEY,
        owner           text        NOT NULL,
        name            text        NOT NULL,
        size            bigint      NOT NULL,
        sha256          bytea       NOT NULL,
        media_type      text        NOT NULL,
        created_at      timestamptz NOT NULL
    )
    """,
    "CREATE INDEX files_owner_idx ON callboard.files (owner, id)",
)


def upgrade() -> None:
    for statement in (
        JOBS,
        *JOBS_INDEXES,
        HISTORY,
        *HISTORY_INDEXES,
        ATTEMPTS,
        PROGRESS,
        *DEFAULT_PARTITIONS,
        *OTHERS,
    ):
        op.execute(statement)
