"""API.md, Files."""

from __future__ import annotations

import hashlib
from uuid import uuid4

from tests.contract.callboard import Client, Job
from tests.contract.formats import is_job_id, problem

CONTENT = b"id,amount\n1,20\n2,22\n"


def upload(client: Client, name: str = "orders.csv") -> Job:
    answer = client.post("/v1/files", files={"file": (name, CONTENT, "text/csv")})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"/v1/files/{answer.json()['id']}"
    file: Job = answer.json()
    return file


def test_upload_answers_201_with_id_name_size_sha256_and_media_type(ann: Client) -> None:
    file = upload(ann)
    assert list(file) == ["id", "name", "size", "sha256", "media_type"]
    assert is_job_id(file["id"])
    assert (file["name"], file["size"], file["media_type"]) == ("orders.csv", len(CONTENT), "text/csv")
    assert file["sha256"] == hashlib.sha256(CONTENT).hexdigest()


def test_the_field_is_called_file(ann: Client) -> None:
    problem(ann.post("/v1/files", files={"upload": ("a", CONTENT)}), 422, "invalid-input")


def test_download_in_ranges(ann: Client) -> None:
    path = f"/v1/files/{upload(ann)['id']}"
    whole = ann.get(path)
    assert (whole.status_code, whole.content, whole.headers["Accept-Ranges"]) == (200, CONTENT, "bytes")
    part = ann.get(path, headers={"Range": "bytes=3-8"})
    assert (part.status_code, part.content) == (206, CONTENT[3:9])
    assert part.headers["Content-Range"] == f"bytes 3-8/{len(CONTENT)}"
    assert ann.get(path, headers={"Range": "bytes=-3"}).content == CONTENT[-3:]
    beyond = ann.get(path, headers={"Range": "bytes=1000-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{len(CONTENT)}")
    assert ann.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304


def test_delete_is_204_and_gone(ann: Client) -> None:
    path = f"/v1/files/{upload(ann)['id']}"
    assert ann.delete(path).status_code == 204
    problem(ann.get(path), 404, "not-found")


def test_a_file_that_is_not_yours_is_404(ann: Client, ben: Client) -> None:
    path = f"/v1/files/{upload(ann)['id']}"
    problem(ben.get(path), 404, "not-found")
    problem(ben.delete(path), 404, "not-found")
    problem(ann.get(f"/v1/files/{uuid4()}"), 404, "not-found")


def test_a_payload_names_a_file_by_its_id(ann: Client) -> None:
    file = upload(ann)
    job = ann.done(ann.submit("e2e.digest", {"file": file["id"]})["id"])
    assert job["result"] == {"sha256": file["sha256"], "bytes": len(CONTENT)}


def test_the_outputs_of_a_job_are_listed(ann: Client, ben: Client) -> None:
    job = ann.done(ann.submit()["id"])
    path = f"{job['links']['self']}/files"
    assert ann.get(path).json() == {"items": [], "next_page_token": None}
    problem(ben.get(path), 404, "not-found")
