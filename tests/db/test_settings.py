from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from callboard.db.errors import ConfigurationError
from callboard.db.settings import Settings, load_settings, unknown_variables
from callboard.db.sql.engine import Database, sqlalchemy_url

SECRET = "s3cr3t-pa55"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_WORKER_THREADS", "17")
    monkeypatch.setenv("CALLBOARD_JOB_MODULES", "one.jobs, two.jobs,,")
    monkeypatch.setenv("CALLBOARD_AMQP_URL", "")

    settings = load_settings()

    assert settings.worker_threads == 17
    assert settings.job_modules == ("one.jobs", "two.jobs")
    assert settings.amqp_url is None, "an empty variable is an unset one"


def test_flags_win_over_the_environment_unless_they_are_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_WORKER_THREADS", "17")
    monkeypatch.setenv("CALLBOARD_LEASE_TTL", "12")

    settings = load_settings(worker_threads=3, lease_ttl=None)

    assert (settings.worker_threads, settings.lease_ttl) == (3, 12.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKER_THREADS", "many"),
        ("WORKER_THREADS", "0"),
        ("DATABASE_POOL_SIZE", "3"),
        ("LEASE_TTL", "-1"),
        ("QUEUE_TYPE", "stream"),
        ("DIAGNOSTICS", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("STATEMENT_TIMEOUT", "nan"),
        ("STATEMENT_TIMEOUT", "inf"),
    ],
)
def test_a_bad_value_names_its_variable_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CALLBOARD_{name}", f"{value}")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert f"CALLBOARD_{name}:" in str(caught.value)
    assert "docs/settings.md" in str(caught.value)
    assert f"'{value}'" not in str(caught.value)


def test_what_is_not_a_number_is_not_called_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_LEASE_TTL", "nan")

    with pytest.raises(ConfigurationError, match=r"CALLBOARD_LEASE_TTL: .*NaN is not a number"):
        load_settings()


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("CALLBOARD_DATABSE_URL", "CALLBOARD_DATABASE_URL"),
        ("CALLBOARD_AMPQ_URL", "CALLBOARD_AMQP_URL"),
        ("CALLBOARD_JOB_MODULE", "CALLBOARD_JOB_MODULES"),
        ("CALLBOARD_LEASE_TLL", "CALLBOARD_LEASE_TTL"),
        ("callboard_api_kye", "CALLBOARD_API_KEY"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, misspelt: str, meant: str
) -> None:
    monkeypatch.setenv(misspelt, SECRET)

    with pytest.raises(ConfigurationError, match=rf"no setting {misspelt}\. Did you mean {meant}\?") as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes gives every container those of the services that there are."""
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"):
        monkeypatch.setenv(f"CALLBOARD_{name}", "1")
        monkeypatch.setenv(f"CALLBOARD_API_{name}", "1")
    monkeypatch.setenv("CALLBOARD_TEST_AMQP_URL", "amqp://a")
    monkeypatch.setenv("CALLBOARDING", "1")
    load_settings()
    assert unknown_variables() == []

    monkeypatch.setenv("CALLBOARD_OF_A_LATER_RELEASE", "1")
    load_settings()
    assert unknown_variables() == ["CALLBOARD_OF_A_LATER_RELEASE"]


def test_every_setting_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(f"CALLBOARD_{name.upper()}", "")
    load_settings()
    assert unknown_variables() == []


def test_all_bad_values_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_WORKER_THREADS", "many")
    monkeypatch.setenv("CALLBOARD_LEASE_TTL", "short")

    with pytest.raises(ConfigurationError, match=r"(?s)WORKER_THREADS.*LEASE_TTL"):
        load_settings()


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_word_where_a_number_belongs_never_shows_up_in_the_message(word: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(worker_threads=f"{SECRET}{word}")

    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_secrets_are_not_printed() -> None:
    settings = Settings(
        database_url=SecretStr(f"postgresql://user:{SECRET}@host/name"),
        database_direct_url=SecretStr(f"postgresql://user:{SECRET}@host:1/name"),
        amqp_url=SecretStr(f"amqp://user:{SECRET}@host"),
        api_key=SecretStr(SECRET),
    )

    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@host/name",
        f"user:{SECRET}@host",
        f"postgresql://user:{SECRET}@host:port/name",
        f"postgresql//user:{SECRET}@host",
        "",
    ],
)
def test_a_malformed_database_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_DATABASE_URL") as caught:
        sqlalchemy_url(url)

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_usual_spelling_of_a_database_url_is_taken(scheme: str) -> None:
    url = sqlalchemy_url(f"{scheme}://user:p%40ss@host:5433/name?sslmode=require")

    assert url.drivername == "postgresql+psycopg"
    assert (url.password, url.host, url.port, url.query["sslmode"]) == ("p@ss", "host", 5433, "require")


def test_a_database_url_may_name_several_hosts() -> None:
    url = sqlalchemy_url("postgresql://user:p%40ss@db-1,[::1]:5433/name?target_session_attrs=read-write")
    assert (url.username, url.password, url.database) == ("user", "p@ss", "name")
    assert url.query == {"host": "db-1,::1", "port": "5432,5433", "target_session_attrs": "read-write"}
    assert sqlalchemy_url("postgresql://a,b/name").query["host"] == "a,b"


def test_a_missing_database_url_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"CALLBOARD_DATABASE_URL is not set.*callboard up"):
        Database(Settings(), role="test")


def test_migrations_use_the_direct_url_where_there_is_one() -> None:
    pooled, direct = SecretStr("postgresql://pooler/name"), SecretStr("postgresql://server/name")

    assert Settings(database_url=pooled).direct_database_url() == "postgresql://pooler/name"
    assert Settings(database_url=pooled, database_direct_url=direct).direct_database_url() == "postgresql://server/name"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().worker_threads = 2  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_described(name: str) -> None:
    field: Any = Settings.model_fields[name]

    assert field.description
    assert field.description.endswith(".")
