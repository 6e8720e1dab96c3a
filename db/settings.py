"""Every setting of Callboard, as one frozen object.

An entry point (the CLI, ``callboard.actors.worker``, an ASGI factory) builds it once with :func:`load_settings` and
passes it on; no other module reads the environment. docs/settings.md is made from this file.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from callboard.db.errors import ConfigurationError

_ORIGIN: Final = re.compile(r"https?://[^/?#@\s]+")


_PREFIX: Final = "CALLBOARD_"
#: Variables that are no settings: those of tests and of 'callboard import-history', and the links that Kubernetes makes
#: for services whose names begin with callboard.
_OTHERS: Final = re.compile(
    r"CALLBOARD_(TEST_\w+|IMPORT_URL|(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)\w*)?))"
)
#: How alike two names are, from 0 to 1, of which one is taken for a misspelling of the other.
_MISSPELT: Final = 0.85
_WORDS: Final = {"finite_number": "Input should be a finite number: NaN is not a number, and infinity no bound"}


class Settings(BaseSettings):
    """Read from ``CALLBOARD_*`` variables. Times are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False
    )

    # --- connections ------------------------------------------------------------------------------------------
    database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL 15 to 18, as `postgresql://user:password@host:port/name`. "
        "`callboard up` starts a PostgreSQL of its own where this is not set.",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same database without a transaction-mode pooler in between, for LISTEN and migrations. "
        "Default: `CALLBOARD_DATABASE_URL`.",
    )
    amqp_url: SecretStr | None = Field(
        None,
        description="RabbitMQ 3.10 or later, as `amqp://user:password@host:port/vhost`; several, separated by `;`, "
        "are tried in turn. `callboard up` passes messages in memory where this is not set.",
    )
    files_url: str | None = Field(
        None,
        description="Where uploaded files are kept: `file:///var/lib/callboard/files` or `s3://bucket/prefix` "
        "(credentials from the usual AWS variables). Default: the directory `files` in `CALLBOARD_DATA_DIR`.",
    )

    # --- job types --------------------------------------------------------------------------------------------
    job_modules: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated Python modules that define job types, imported by api and worker.",
    )
    diagnostics: bool = Field(
        default=False, description="Offer the `diagnostics.*` job types. On in the embedded system."
    )

    # --- database use -----------------------------------------------------------------------------------------
    database_pool_size: int = Field(10, ge=4, le=200, description="Most connections one process holds.")
    database_pgbouncer: bool = Field(
        default=False,
        description="Set when `CALLBOARD_DATABASE_URL` goes through a transaction-mode pooler: "
        "statements are then not prepared.",
    )
    connect_timeout: int = Field(5, ge=1, le=60, description="Longest wait for a database or broker connection.")
    statement_timeout: float = Field(10.0, gt=0, le=600, description="Longest run of one ordinary SQL statement.")

    # --- http -------------------------------------------------------------------------------------------------
    max_body_bytes: int = Field(16 * 2**20, ge=2**10, description="Largest request body, file uploads apart.")
    max_file_bytes: int = Field(10 * 2**30, ge=1, description="Largest uploaded file.")
    max_payload_bytes: int = Field(2**20, ge=2**10, description="Largest payload of one job.")
    max_batch_jobs: int = Field(10_000, ge=1, le=10_000, description="Most jobs in one batch.")
    max_wait: float = Field(60.0, ge=0, le=600, description="Longest time a request may wait for a job.")

    receive_timeout: float = Field(
        30.0, gt=0, le=3600, description="Longest wait for a request's head, and for each next 16 KiB of its body."
    )
    stream_heartbeat: float = Field(
        15.0, gt=0, le=300, description="Time after which a live stream without events sends a comment."
    )
    stream_buffer_bytes: int = Field(
        2**20, ge=2**10, description="A live stream whose reader is this far behind is closed."
    )

    # --- access -----------------------------------------------------------------------------------------------
    environment: str = Field(
        "live",
        pattern="^[a-z0-9]{1,16}$",
        description="Name of this installation in its API keys (`cb_<environment>_…`); those of another are refused.",
    )
    oidc_jwks_url: str | None = Field(
        None,
        description="Where an OpenID Connect provider publishes the keys (JWKS) of its tokens; https, or http on "
        "loopback. Tokens are accepted beside API keys if this, the issuer and the audience are set.",
    )
    oidc_issuer: str | None = Field(None, description="`iss` of tokens.")
    oidc_audience: str | None = Field(None, description="One of `aud` of tokens.")
    oidc_role_claim: str = Field(
        "role",
        min_length=1,
        description="Claim with the role: `client`, `viewer`, `operator` or `admin`, or a list that has one of them.",
    )
    oidc_owner_prefix: str = Field(
        "oidc:",
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+$",
        description="What the owner of a token's jobs begins with, before the subject: so no token has the owner of "
        "an API key. Choose another for another issuer.",
    )
    max_live_jobs: int = Field(
        100_000,
        ge=0,
        description="Most jobs of one owner that live at a time; for the role `client` where its key does not say, and "
        "for all together where no credentials are needed. 0: no limit. Other roles have the limits of their keys.",
    )
    submissions_per_second: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Most jobs that one key, or one token's subject, submits in a second, where its key does not say. "
        "Default: no limit.",
    )
    ticket_secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Signs tickets for live streams (`POST /v1/stream-tickets`), 32 characters or more. Where several "
        "api processes serve, give all the same. Default: a secret that each process makes for itself.",
    )
    submissions_per_second_per_address: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="Most jobs that one client address (of IPv6: one /64 network) submits in a second where no "
        "credentials are needed. Default: no limit.",
    )
    max_stored_bytes: int = Field(
        100 * 2**30,
        ge=0,
        description="Most bytes of files that one owner has stored; its jobs' outputs count, and are not refused. "
        "0: no limit.",
    )
    metrics_public: bool = Field(
        default=False,
        description="Let everybody who reaches the api read `/metrics`. Default: viewers, operators and admins.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated origins whose web pages may call the API, as `https://console.example`; `*`: all. "
        "Default: none.",
    )

    # --- dispatch ---------------------------------------------------------------------------------------------
    dispatch_window: int = Field(
        512,
        ge=1,
        le=100_000,
        description="Most messages of one queue in the broker at a time; the rest wait in "
        "PostgreSQL, where priorities, pauses and cancels reach them. A queue may set its own.",
    )
    dispatch_poll_interval: float = Field(1.0, gt=0, le=60, description="Longest time between two polls for due jobs.")
    queue_type: Literal["classic", "quorum"] = Field(
        "classic",
        description="Kind of RabbitMQ queue. The same everywhere: RabbitMQ refuses a second declaration that differs.",
    )
    confirm_timeout: float = Field(10.0, gt=0, le=300, description="Longest wait for the broker to confirm messages.")

    # --- work -------------------------------------------------------------------------------------------------
    worker_threads: int = Field(8, ge=1, le=1000, description="Jobs that one worker process runs at a time.")
    worker_prefetch: int = Field(
        0,
        ge=0,
        le=65_535,
        description="Messages a worker takes ahead per queue, those it runs included. 0: as many as it has threads.",
    )
    worker_max_jobs: int | None = Field(
        None,
        ge=1,
        description="A worker process is replaced after about so many jobs, when those it runs are done. "
        "Default: never.",
    )
    worker_max_memory: int | None = Field(
        None,
        ge=2**20,
        description="A worker process is replaced when it has more resident memory than this, and the jobs it runs are "
        "done (Linux). Default: never.",
    )
    lease_ttl: float = Field(
        30.0,
        ge=1,
        le=3600,
        description="A worker that is not seen for so long is lost, and its jobs are rescued.",
    )
    hang_timeout: float | None = Field(
        None,
        ge=1,
        description="A process of `callboard worker` or `callboard up` in which nothing has run for so long (it is "
        "suspended, or C code holds Python's lock) is killed and replaced. Default: twice `CALLBOARD_LEASE_TTL`.",
    )
    heartbeat_interval: float = Field(3.0, gt=0, le=600, description="Time between two heartbeats of a worker.")
    stop_check_interval: float = Field(0.5, gt=0, le=60, description="Time between two polls for cancel requests.")
    progress_interval: float = Field(
        0.25, ge=0, le=60, description="Shortest time between two stored progress reports."
    )
    shutdown_grace: float = Field(25.0, ge=0, le=86_400, description="Time that running jobs get to end at shutdown.")
    # The columns are jsonb, which holds 255 MiB.
    max_result_bytes: int = Field(16 * 2**20, ge=2**10, le=2**27, description="Largest result of one job, as JSON.")

    # --- maintenance ------------------------------------------------------------------------------------------
    maintenance_interval: float = Field(5.0, gt=0, le=3600, description="Time between two rounds of maintenance.")
    reconcile_after: float = Field(
        15.0,
        gt=0,
        le=86_400,
        description="A dispatched job that is not claimed for so long is dispatched again, "
        "if the broker's queue is empty.",
    )
    audit_keep_days: int | None = Field(
        None, ge=30, le=36_500, description="Days after which entries of the audit log are deleted. Default: never."
    )
    unknown_type_grace: float = Field(
        86_400.0,
        ge=0,
        le=2_592_000,
        description="How long a job waits for a worker that knows its type, as during a deployment, before it fails "
        "with `unknown_type`. It counts from the first worker that did not know it.",
    )
    partitions_ahead: int = Field(3, ge=1, le=24, description="Months of partitions made ahead.")
    analysts_see_contents: bool = Field(
        default=False,
        description="Whether the database role `callboard_analyst` sees payloads, results, progress and what errors "
        "say. `callboard migrate` applies it.",
    )
    idempotency_ttl: float = Field(86_400.0, ge=86_400, description="How long an idempotency key is kept.")

    # --- logs -------------------------------------------------------------------------------------------------
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        description="Least level that is logged. `info` has a line for each transition of a job; `warning` and below "
        "quote what handlers raise, which may hold data of users.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        description="`auto`: readable on a terminal, JSON lines otherwise.",
    )

    # --- client commands --------------------------------------------------------------------------------------
    url: str = Field("http://127.0.0.1:8000", description="The API that client commands talk to.")
    api_key: SecretStr | None = Field(None, description="The key that client commands send.")

    # --- embedded ---------------------------------------------------------------------------------------------
    data_dir: Path = Field(
        Path(".callboard"),
        description="Where `callboard up` keeps its PostgreSQL, and every process its files, unless "
        "`CALLBOARD_FILES_URL` is set.",
    )

    @field_validator("job_modules", "cors_origins", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("cors_origins")
    @classmethod
    def _require_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in value):
            raise ValueError("write origins as https://console.example or http://localhost:5173, without a path")
        return value

    @property
    def hang_after(self) -> float:
        """Seconds that a process may hang before its supervisor replaces it."""
        # By then its jobs have been rescued: it could not record anything any more.
        return 2 * self.lease_ttl if self.hang_timeout is None else self.hang_timeout

    def require_database_url(self) -> str:
        """Return the database URL in clear.

        Raises:
            ConfigurationError: none is set.
        """
        if self.database_url is None:
            raise ConfigurationError(
                "CALLBOARD_DATABASE_URL is not set. Set it to postgresql://user:password@host:port/name, "
                "or run 'callboard up', which brings its own PostgreSQL."
            )
        return self.database_url.get_secret_value()

    def direct_database_url(self) -> str:
        """Return the URL for LISTEN and migrations: the direct one, else the ordinary one."""
        if self.database_direct_url is not None:
            return self.database_direct_url.get_secret_value()
        return self.require_database_url()


def load_settings(**overrides: object) -> Settings:
    """Build the settings from the environment; ``overrides`` (from command-line flags) win.

    Raises:
        ConfigurationError: a value is out of range or malformed, or a variable is almost the name of a setting. The
            message names the variable. The value itself is left out, as it may be a secret.
    """
    misspelt = {name: near for name in unknown_variables() if (near := _nearest(name)) is not None}
    if misspelt:
        problems = " ".join(f"There is no setting {name}. Did you mean {near}?" for name, near in misspelt.items())
        raise ConfigurationError(f"{problems} docs/settings.md lists them all.")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(
            f"{_PREFIX}{'_'.join(str(part) for part in item['loc']).upper()}: {_WORDS.get(item['type'], item['msg'])}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(f"Settings do not fit: {problems}. docs/settings.md lists them all.") from None


def unknown_variables() -> list[str]:
    """Return the names of variables that begin as settings do and are none.

    Another release may know them, so that only those that look misspelt are errors; see :func:`load_settings`.
    """
    names = {name for name in os.environ if name.upper().startswith(_PREFIX) and not _OTHERS.fullmatch(name.upper())}
    return sorted(name for name in names if name.upper().removeprefix(_PREFIX).lower() not in Settings.model_fields)


def _nearest(variable: str) -> str | None:
    name = variable.upper().removeprefix(_PREFIX)
    near = difflib.get_close_matches(name, map(str.upper, Settings.model_fields), n=1, cutoff=_MISSPELT)
    return f"{_PREFIX}{near[0]}" if near else None
