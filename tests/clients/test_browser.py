"""``callboard.js`` and the React hook in Debian's Chromium, as the server hands them to a page that it serves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, expect, sync_playwright

from callboard import Client

PAGE: Final = Path(__file__).with_name("use-async-job.html")
#: React as Debian packages it.
REACT: Final = {
    "/react/react.development.js": Path("/usr/share/nodejs/react/umd/react.development.js"),
    "/react/react-dom.development.js": Path("/usr/share/nodejs/react-dom/umd/react-dom.development.js"),
}
#: What ``import … from "react"`` gets: the page's own React, as a module.
REACT_MODULE: Final = "export const { useCallback, useEffect, useRef, useState } = window.React;"


def installed(found: object, what: str) -> None:
    if not found:
        if os.environ.get("CI"):
            pytest.fail(f"{what} is not installed; tests/services/install.sh does that")
        pytest.skip(f"{what} is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    installed(chromium, "chromium")
    with sync_playwright() as playwright:
        # Chromium's own sandbox cannot be had as root, and in many containers; pages here are the tests' own.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """An empty page of the server's origin. What the page complains of fails the test."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Chromium itself tells of each response that is an error; those are wanted.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    with browser.new_context(base_url=url) as context:
        page = context.new_page()
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.route("**/empty.html", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>"))
        page.goto("/empty.html")
        yield page
    assert complaints == []


@pytest.fixture
def hook(page: Page) -> Page:
    """The page that shows what the hook says."""
    installed(all(path.is_file() for path in REACT.values()), "React")

    def serve(route: Route, request: Request) -> None:
        path = urlsplit(request.url).path
        body = REACT[path].read_text() if path in REACT else REACT_MODULE
        route.fulfill(content_type="text/javascript", body=body)

    page.route("**/react/*", serve)
    page.route("**/hook.html", lambda route: route.fulfill(content_type="text/html", body=PAGE.read_text()))
    page.goto("/hook.html")
    expect(page.locator("output")).to_have_text("idle")
    return page


def test_submit_poll_watch_and_result(page: Page) -> None:
    told = page.evaluate(
        """async () => {
          const { Callboard } = await import("/callboard.js");
          const callboard = new Callboard();
          const options = { tags: { from: "page" } };
          const job = await callboard.submit("diagnostics.sleep", { seconds: 0.5, steps: 5 }, options);
          const watched = [];
          for await (const state of callboard.watch(job.id)) watched.push(state.status);
          const seen = [];
          const done = await callboard.pollJobStatus(job.id, { onProgress: (state) => seen.push(state.status) });
          return { job, watched, seen, done, result: await callboard.getResult(job.id) };
        }"""
    )
    assert told["job"]["tags"] == {"from": "page"}
    assert told["watched"][-1] == told["done"]["status"] == "succeeded"
    assert len(told["watched"]) > 1
    assert told["seen"] == ["succeeded"]
    assert told["result"] == told["done"]["result"]


def test_polling_hears_of_what_has_not_changed(page: Page) -> None:
    """A browser responds to If-None-Match from its own cache, and hides the 304, unless told not to."""
    statuses: list[int] = []
    page.on("response", lambda response: statuses.append(response.status))
    error = page.evaluate(
        """async () => {
          const { Callboard, CallboardError } = await import("/callboard.js");
          const callboard = new Callboard();
          const job = await callboard.submit("e2e.noop", {}, { delay: 3600 });
          let told = 0;
          const count = () => told++;
          try {
            await callboard.pollJobStatus(job.id, { interval: 10, maxAttempts: 3, onProgress: count });
          } catch (error) {
            await callboard.cancel(job.id);
            const refused = await callboard.getResult(job.id).catch((problem) => problem);
            return [error.name, told, refused instanceof CallboardError, refused.code];
          }
        }"""
    )
    assert error == ["PollTimeout", 1, True, "unsuccessful"]
    assert statuses.count(304) == 2


def test_a_watch_that_is_left_closes_its_stream(page: Page) -> None:
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/events")):
        page.evaluate(
            """async () => {
              const { Callboard } = await import("/callboard.js");
              const callboard = new Callboard();
              const job = await callboard.submit("diagnostics.sleep", { seconds: 5, steps: 50 });
              let states = 0;
              for await (const state of callboard.watch(job.id)) if (++states === 3) break;
              await callboard.cancel(job.id);
            }"""
        )


def test_the_hook_renders_a_job_from_start_to_end(hook: Page) -> None:
    hook.get_by_text("Run").click()
    expect(hook.locator("output")).to_have_text("succeeded", timeout=30_000)
    rendered = hook.evaluate("window.rendered")
    statuses = [state["status"] for state in rendered]
    assert "running" in statuses
    pending = [state["pending"] for state in rendered if state["status"] not in {None, "succeeded"}]
    assert all(pending)
    assert rendered[-1] == {"status": "succeeded", "pending": False, "error": None}


def test_the_hook_cancels_and_starts_again(hook: Page) -> None:
    hook.get_by_text("Wait").click()
    expect(hook.locator("output")).to_have_text("scheduled")
    hook.get_by_text("Stop").click()
    expect(hook.locator("output")).to_have_text("cancelled", timeout=30_000)
    first = hook.locator("code").inner_text()
    hook.get_by_text("Run").click()
    expect(hook.locator("output")).to_have_text("succeeded", timeout=30_000)
    assert hook.locator("code").inner_text() != first


def test_the_hook_tells_of_a_refusal(hook: Page) -> None:
    hook.get_by_text("Fail").click()
    expect(hook.locator("output")).to_have_text("invalid-input")
    assert hook.evaluate("window.rendered").pop() == {"status": None, "pending": False, "error": "invalid-input"}


def test_the_hook_follows_a_job_that_is_there_and_only_the_last(hook: Page, url: str) -> None:
    with Client(url) as client:
        waiting = client.submit("e2e.noop", {}, delay=3600)
        done = client.wait(client.submit("e2e.noop", {}).id)
        hook.evaluate("id => window.show(id)", str(waiting.id))
        expect(hook.locator("code")).to_have_text(str(waiting.id))
        hook.evaluate("id => window.show(id)", str(done.id))
        expect(hook.locator("output")).to_have_text("succeeded")
        client.cancel(waiting.id)
        expect(hook.locator("code")).to_have_text(str(done.id))


def test_the_hook_leaves_with_its_component_and_the_job_goes_on(hook: Page, url: str) -> None:
    hook.get_by_text("Wait").click()
    expect(hook.locator("output")).to_have_text("scheduled")
    job_id = hook.locator("code").inner_text()
    with hook.expect_event("requestfailed", lambda request: request.url.endswith("/events")):
        hook.evaluate("window.hide()")
    with Client(url) as client:
        assert client.get(job_id).status == "scheduled"
        client.cancel(job_id)


def test_the_page_of_docs_works_under_its_content_security_policy(page: Page) -> None:
    page.goto("/docs")

    page.locator("#operations-jobs-submitJob").click()
    expect(page.get_by_text("Prefer: wait=N").first).to_be_visible()


def test_a_page_of_another_origin_changes_and_reads_nothing_of_an_open_server(browser: Browser, url: str) -> None:
    pause = f"{url}/v1/queues/diagnostics/pause"
    with browser.new_context() as context:  # the browser complains there, as it should
        page = context.new_page()
        page.route(
            "http://evil.localhost/", lambda route: route.fulfill(content_type="text/html", body="<!doctype html>")
        )
        page.goto("http://evil.localhost/")
        ask = "([url, how]) => fetch(url, how).then(answer => answer.type, () => 'failed')"

        assert page.evaluate(ask, [pause, {"method": "POST", "mode": "no-cors"}]) == "failed"
        assert page.evaluate(ask, [f"{url}/v1/jobs", {}]) == "failed"
        with page.expect_response(pause) as form:
            page.evaluate(
                "url => {const form = document.createElement('form'); form.method = 'POST'; form.action = url;"
                " document.body.append(form); form.submit();}",
                pause,
            )

    assert form.value.status == 403
    queues = httpx.get(f"{url}/v1/queues").json()["items"]
    assert not any(queue["paused"] for queue in queues)
