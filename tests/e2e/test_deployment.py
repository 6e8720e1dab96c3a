"""Old and new workers side by side, as while a deployment is under way."""

from __future__ import annotations

from tests.e2e.system import Distributed


def test_jobs_of_a_new_type_wait_for_a_worker_that_knows_it(workerless: Distributed) -> None:
    """The api and the clients are new already. The old worker stays, and takes messages of the same queue."""
    api = workerless.api
    old = workerless.start_worker("--threads", "1", name="old", job_modules="e2e_harm")
    job_ids = [api.submit("e2e.noop", max_retries=0) for _ in range(4)]
    for job_id in job_ids:
        job = api.until(job_id, lambda job: job["waiting_for"] is not None)
        assert (job["attempt"], job["done"], job["waiting_for"]["kind"]) == (0, False, "worker")
    assert "job_type_unknown" in old.log()

    workerless.start_worker("--threads", "1", name="new")
    for job_id in job_ids:
        job = api.wait(job_id, timeout=60)
        assert (job["status"], job["attempt"], job["waiting_for"]) == ("succeeded", 1, None)
        assert [attempt["outcome"] for attempt in api.attempts(job_id)] == ["succeeded"]
    assert old.running
