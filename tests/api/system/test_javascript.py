"""The JavaScript client, as the server hands it to pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.conftest import Serve

SOURCES = Path(__file__).parents[3] / "callboard" / "js"


@pytest.mark.parametrize("name", sorted(path.name for path in SOURCES.iterdir()))
def test_every_file_is_served_and_cached(serve: Serve, name: str) -> None:
    client = serve().client
    answer = client.get(f"/{name}")
    assert answer.status_code == 200
    assert answer.content == (SOURCES / name).read_bytes()
    media_type = "text/javascript" if name.endswith(".js") else "text/plain"
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    again = client.get(f"/{name}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert client.get(f"/{name}", headers={"If-None-Match": '"other"'}).status_code == 200
    refused = client.post(f"/{name}")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_page_of_another_origin_may_import_it(serve: Serve) -> None:
    client = serve(cors_origins=("https://shop.example",)).client
    answer = client.get("/callboard.js", headers={"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"


def test_it_needs_no_key(serve: Serve) -> None:
    assert serve().client.get("/callboard.js", headers={"x-role": "nobody"}).status_code == 200
