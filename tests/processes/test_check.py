"""``callboard check``: what it says of a deployment that works, and of each part that does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from callboard.db.settings import Settings, load_settings
from callboard.processes.check import Finding, check
from callboard.processes.signals import StopSignal
from tests.support.ports import free_port


class Deployment:
    """Variables, as a container has them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: StopSignal) -> None:
        self._monkeypatch = monkeypatch
        self._stop = stop

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self._monkeypatch.setenv(f"CALLBOARD_{name.upper()}", value)

    def check(self) -> dict[str, Finding]:
        return {finding.name: finding for finding in check(load_settings(), self._stop)}

    def problem(self, name: str) -> str:
        """Return what is said of the only check that fails."""
        findings = self.check()
        assert [finding.name for finding in findings.values() if not finding.ok] == [name]
        return findings[name].says


@pytest.fixture
def deployment(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: StopSignal) -> Deployment:
    made = Deployment(monkeypatch, stop)
    made.set(database_url=settings.require_database_url(), data_dir=str(tmp_path))
    return made


def test_a_deployment_that_works(deployment: Deployment, tmp_path: Path) -> None:
    findings = deployment.check()
    assert all(finding.ok for finding in findings.values()), findings
    assert "migrated, writable" in findings["database"].says
    assert "queues: callboard, tables" in findings["job types"].says
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "it leaves nothing behind"


def test_a_module_that_is_not_there(deployment: Deployment) -> None:
    deployment.set(job_modules="no_such_jobs")
    assert "'no_such_jobs'" in deployment.problem("job types")


def test_a_database_that_does_not_answer(deployment: Deployment) -> None:
    deployment.set(database_url=f"postgresql://a:s3cr3t@127.0.0.1:{free_port()}/b")
    assert "s3cr3t" not in deployment.problem("database")


def test_a_database_without_the_schema(deployment: Deployment, settings: Settings) -> None:
    url = make_url(settings.require_database_url()).set(database="postgres")
    deployment.set(database_url=url.render_as_string(hide_password=False))
    assert "Run 'callboard migrate'" in deployment.problem("database")


def test_a_broker_that_does_not_answer(deployment: Deployment) -> None:
    deployment.set(amqp_url=f"amqp://a:s3cr3t@127.0.0.1:{free_port()}/")
    said = deployment.problem("broker")
    assert "Connection refused" in said
    assert "s3cr3t" not in said


def test_a_storage_that_cannot_be_written(deployment: Deployment) -> None:
    deployment.set(files_url="file:///proc/callboard")
    assert "/proc/callboard" in deployment.problem("files")


def test_half_an_identity_provider(deployment: Deployment) -> None:
    deployment.set(oidc_issuer="https://id.example.com")
    assert "belong together" in deployment.problem("tokens")
