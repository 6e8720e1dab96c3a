"""API.md, Types, queues, workers, numbers."""

from __future__ import annotations

from tests.contract.callboard import Client
from tests.contract.formats import is_time, problem

QUEUE_FIELDS = ["name", "waiting", "running", "oldest_waiting_age", "throughput", "paused", "limits"]


def test_job_types_have_name_queue_defaults_bounds_description_schemas_and_an_example(ann: Client) -> None:
    names = [item["name"] for item in ann.get("/v1/job-types").json()["items"]]
    assert names == sorted(names)
    shown = ann.get("/v1/job-types/diagnostics.sleep").json()
    assert list(shown) == [
        "name", "queue", "description", "defaults", "bounds", "payload_schema", "result_schema", "example",
    ]  # fmt: skip
    assert (shown["name"], shown["queue"]) == ("diagnostics.sleep", "diagnostics")
    assert shown["description"]
    assert shown["defaults"].keys() == {"priority", "max_retries", "time_limit", "min_backoff", "max_backoff"}
    assert shown["bounds"]["priority"] == {"minimum": 0, "maximum": 9}
    assert shown["payload_schema"]["properties"].keys() == {"seconds", "steps"}
    assert shown["result_schema"] == {"type": "null"}
    assert shown["example"] == {"seconds": 5, "steps": 10}
    problem(ann.get("/v1/job-types/nothing"), 404, "not-found")


def test_queues_say_how_full_they_are(ann: Client) -> None:
    queues = {item["name"]: item for item in ann.get("/v1/queues").json()["items"]}
    queue = queues["diagnostics"]
    assert list(queue) == QUEUE_FIELDS
    assert all(isinstance(queue[name], int) for name in ("waiting", "running", "throughput"))
    assert queue["paused"] is False
    assert list(queue["limits"]) == ["dispatch_window", "concurrency_limit", "rate_limit", "rate_period"]


def test_operators_pause_and_resume_a_queue(ann: Client, olga: Client) -> None:
    for client, status in ((ann, 403), (olga, 200)):
        assert client.post("/v1/queues/e2e.closed/pause").status_code == status
    job = ann.submit("e2e.closed", queue="e2e.closed")
    (queue,) = (item for item in ann.get("/v1/queues").json()["items"] if item["name"] == "e2e.closed")
    assert (queue["paused"], queue["waiting"]) == (True, 1)
    assert queue["oldest_waiting_age"] >= 0
    assert olga.post("/v1/queues/e2e.closed/resume").json()["paused"] is False
    assert ann.done(job["id"])["status"] == "succeeded"


def test_operators_patch_limits(ann: Client, olga: Client) -> None:
    problem(ann.patch("/v1/queues/tables", json={"concurrency_limit": 2}), 403, "forbidden")
    answer = olga.patch("/v1/queues/tables", json={"concurrency_limit": 2})
    assert (answer.status_code, answer.json()["limits"]["concurrency_limit"]) == (200, 2)
    assert list(answer.json()) == QUEUE_FIELDS
    limits = {"concurrency_limit": None, "rate_limit": 1000, "rate_period": 0.5}
    assert olga.patch("/v1/queues/tables", json=limits).json()["limits"] == {"dispatch_window": None, **limits}
    problem(olga.patch("/v1/queues/tables", json={"rate_period": 5}), 422, "invalid-input")
    without = {"rate_limit": None, "rate_period": None}
    assert olga.patch("/v1/queues/tables", json=without).json()["limits"].items() >= without.items()
    problem(olga.patch("/v1/queues/nothing", json={"concurrency_limit": 2}), 404, "not-found")


def test_workers_are_for_those_who_see_all(ann: Client, olga: Client) -> None:
    problem(ann.get("/v1/workers"), 403, "forbidden")
    job = ann.running(ann.submit("diagnostics.sleep", {"seconds": 60})["id"])
    worker = next(item for item in olga.get("/v1/workers").json()["items"] if job["id"] in item["jobs"])
    assert worker["state"] == "running"
    assert worker["running"] == len(worker["jobs"])
    assert is_time(worker["last_seen_at"])
    ann.post(job["links"]["cancel"])


def test_stats_count_by_status_type_and_queue(ann: Client, olga: Client) -> None:
    ann.submit(delay=3600)
    stats = ann.get("/v1/stats").json()
    assert is_time(stats["at"])
    for name in ("by_status", "by_type", "by_queue"):
        assert sum(stats[name].values()) == stats["live"] >= 1
    assert olga.get("/v1/stats").json()["live"] >= stats["live"]


def test_probes_and_version(nobody: Client) -> None:
    assert nobody.get("/livez").json() == {"status": "alive"}
    assert nobody.get("/readyz").json() == {"status": "ready"}
    version = nobody.get("/v1/version").json()
    assert list(version) == ["name", "version", "api", "python"]
    assert (version["name"], version["api"]) == ("callboard", "v1")


def test_metrics_are_for_prometheus(adam: Client) -> None:
    answer = adam.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "# TYPE callboard_" in answer.text


def test_the_document_and_its_page_need_no_other_server(nobody: Client) -> None:
    document = nobody.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1.")
    page = nobody.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text
    for line in page.text.split('"'):
        if line.startswith("/docs/assets/"):
            assert nobody.get(line).status_code == 200
