// Run by test_javascript.py, which starts the server that CALLBOARD_URL and LOSSY_URL lead to.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { Callboard, CallboardError, PollTimeout, ServerUnreachable } from "../../callboard/js/callboard.js";

const URL = process.env.TEST_URL;
const callboard = new Callboard(URL);

const collect = async (iterable) => {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
};

/** A server that speaks as the test says; closed with it. */
async function serve(t, handler, options) {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return new Callboard(`http://127.0.0.1:${server.address().port}`, options);
}

function respond(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

test("submit, poll, result", async () => {
  const job = await callboard.submit("diagnostics.sleep", { seconds: 0.5, steps: 5 }, { priority: 7, tags: { a: "b" } });
  assert.deepEqual([job.type, job.priority, job.tags.a], ["diagnostics.sleep", 7, "b"]);
  const seen = [];
  const done = await callboard.pollJobStatus(job.id, { interval: 50, onProgress: (state) => seen.push(state) });
  assert.deepEqual([done.id, done.status, done.done], [job.id, "succeeded", true]);
  assert.deepEqual(seen.at(-1), done);
  assert.ok(seen.some((state) => state.progress));
  // Told of changes only.
  for (const [index, state] of seen.slice(1).entries()) assert.notDeepEqual(state, seen[index]);
  assert.deepEqual(await callboard.getResult(job.id), done.result);
  assert.deepEqual(await callboard.getJob(job.id), done);
});

test("without a URL, those of the environment are taken", async () => {
  const headers = [];
  const fetch = (url, options) => {
    headers.push([new Request(url).url, new Headers(options.headers).get("Authorization")]);
    return Promise.resolve(new Response('{"done": true}', { status: 200 }));
  };
  await new Callboard(undefined, { fetch }).getJob("a");
  await new Callboard("http://127.0.0.1:1", { fetch }).getJob("a");
  assert.deepEqual(headers, [
    ["http://127.0.0.1:7/v1/jobs/a", "Bearer cb_from_the_environment"],
    ["http://127.0.0.1:1/v1/jobs/a", null],
  ]);
});

test("watch yields each state up to the end", async () => {
  const job = await callboard.submit("diagnostics.sleep", { seconds: 1, steps: 2 });
  const states = await collect(callboard.watch(job.id));
  assert.ok(states.length > 1);
  assert.deepEqual(states.map((state) => state.done), [...states.slice(1).map(() => false), true]);
  assert.equal(states.at(-1).status, "succeeded");
  // One that is done already is told once.
  assert.deepEqual(await collect(callboard.watch(job.id)), [states.at(-1)]);
});

test("a job that takes too long", async () => {
  const job = await callboard.submit("e2e.noop", {}, { delay: 3600 });
  await assert.rejects(callboard.pollJobStatus(job.id, { interval: 1, maxAttempts: 3 }), (error) => {
    assert.ok(error instanceof PollTimeout);
    assert.equal(error.job.id, job.id);
    return true;
  });
  assert.equal((await callboard.cancel(job.id)).status, "cancelled");
});

test("an aborted signal ends polling and watching, not the job", async () => {
  const job = await callboard.submit("e2e.noop", {}, { delay: 3600 });
  const polling = new AbortController();
  const polled = callboard.pollJobStatus(job.id, {
    signal: polling.signal,
    onProgress: () => polling.abort(new Error("enough")),
  });
  await assert.rejects(polled, /enough/);
  const watching = new AbortController();
  await assert.rejects(async () => {
    for await (const _state of callboard.watch(job.id, { signal: watching.signal })) {
      setTimeout(() => watching.abort(new Error("enough")), 50);
    }
  }, /enough/);
  await assert.rejects(callboard.getJob(job.id, { signal: AbortSignal.abort(new Error("never")) }), /never/);
  assert.equal((await callboard.getJob(job.id)).status, "scheduled");
  await callboard.cancel(job.id);
});

test("problems are errors that tell all", async () => {
  await assert.rejects(callboard.submit("diagnostics.sleep", { seconds: -1 }), (error) => {
    assert.ok(error instanceof CallboardError);
    assert.deepEqual([error.status, error.code], [422, "invalid-input"]);
    assert.deepEqual(error.errors.map((item) => item.pointer), ["/payload/seconds"]);
    assert.ok(error.requestId);
    return true;
  });
  const job = await callboard.submit("e2e.add", { args: [1, -1] });
  assert.equal((await callboard.pollJobStatus(job.id, { interval: 50 })).status, "failed");
  await assert.rejects(callboard.getResult(job.id), (error) => {
    assert.deepEqual([error.code, error.jobError.type], ["unsuccessful", "ArithmeticError"]);
    return true;
  });
});

test("a lost response makes no second job", async () => {
  const tag = crypto.randomUUID();
  const job = await new Callboard(process.env.LOSSY_URL).submit("e2e.noop", {}, { tags: { once: tag } });
  const listed = await (await fetch(`${URL}/v1/jobs?tag=once:${tag}`)).json();
  assert.deepEqual(listed.items.map((item) => item.id), [job.id]);
});

test("an overloaded server is asked again, with the same key", async (t) => {
  const keys = [];
  const client = await serve(t, (request, response) => {
    keys.push(request.headers["idempotency-key"]);
    if (keys.length === 1) respond(response, 503, { title: "Unavailable", code: "unavailable" }, { "Retry-After": "0" });
    else respond(response, 202, { id: "1", done: false });
  });
  assert.equal((await client.submit("a", {})).id, "1");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
});

test("nobody there is an error when patience ends", async () => {
  const nobody = new Callboard("http://127.0.0.1:1", { retryFor: 0 });
  await assert.rejects(nobody.getJob("1"), (error) => {
    assert.ok(error instanceof ServerUnreachable);
    assert.match(error.message, /^No response from the server at http:.* \(bad port\)\./);
    return true;
  });
});

/** A job that changes at each event of its stream, sent in pieces that split lines and characters. */
test("watch follows the event stream, and polls when it breaks", async (t) => {
  let revision = 0;
  const asked = [];
  const client = await serve(t, async (request, response) => {
    asked.push(request.url);
    if (request.url.endsWith("/events")) {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      const piece = async (bytes) => {
        response.write(bytes);
        await new Promise((resolve) => setTimeout(resolve, 30));
      };
      revision = 1;
      const event = Buffer.from(': hello\r\n\r\nid: 1\r\nevent: progress\r\ndata: {"at": "Łódź"}\r\n\r\n');
      await piece(event.subarray(0, 46));
      await piece(event.subarray(46));
      revision = 2;
      await piece("data: {}\n");
      await piece("\n");
      response.destroy();
      revision = 3;
      return;
    }
    const etag = `"${revision}"`;
    if (request.headers["if-none-match"] === etag) {
      response.writeHead(304, { ETag: etag });
      response.end();
    } else respond(response, 200, { id: "1", revision, done: revision === 3 }, { ETag: etag });
  });
  const states = await collect(client.watch("1"));
  assert.deepEqual(states.map((state) => state.revision), [0, 1, 2, 3]);
  assert.equal(asked.filter((url) => url.endsWith("/events")).length, 1);
  assert.ok(asked.at(-1).includes("?wait="));
});

test("a watch that is left closes its stream", { timeout: 10_000 }, async (t) => {
  let closed;
  const over = new Promise((resolve) => (closed = resolve));
  let revision = 0;
  const client = await serve(t, (request, response) => {
    if (request.url.endsWith("/events")) {
      request.on("close", closed);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      revision = 1;
      response.write("data: {}\n\n");
    } else respond(response, 200, { id: "1", revision, done: false }, { ETag: `"${revision}"` });
  });
  for await (const state of client.watch("1")) if (state.revision === 1) break;
  await over;
});

/** A job of so many revisions, the last of which is its end. */
function revised(t, last, stream, options) {
  const job = { revision: 0, streams: [] };
  const handler = (request, response) => {
    const etag = `"${job.revision}"`;
    if (request.url.endsWith("/events")) {
      job.streams.push(request.headers["last-event-id"]);
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      stream(response, job);
    } else {
      if (request.url.includes("wait=")) job.revision = last;
      if (request.headers["if-none-match"] === etag && job.revision !== last) {
        response.writeHead(304, { ETag: etag });
        response.end();
      } else {
        const body = { id: "1", revision: job.revision, done: job.revision === last };
        respond(response, 200, body, { ETag: `"${job.revision}"` });
      }
    }
  };
  return serve(t, handler, options).then((client) => ({ client, job }));
}

test("a stream that goes silent is opened anew, where it was", { timeout: 20_000 }, async (t) => {
  const stream = (response, job) => {
    job.revision += 1;
    response.write(`id: e${job.revision}\ndata: {}\n\n`);
  };
  const { client, job } = await revised(t, 3, stream, { silence: 300 });
  const states = await collect(client.watch("1"));
  assert.deepEqual(states.map((state) => state.revision), [0, 1, 2, 3]);
  assert.deepEqual(job.streams, [undefined, "e1", "e2"]);
});

test("heartbeats keep a stream open", { timeout: 20_000 }, async (t) => {
  const stream = async (response, job) => {
    for (let beat = 0; beat < 8; beat++) {
      response.write(": still here\n\n");
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    job.revision = 1;
    response.write("id: e1\ndata: {}\n\n");
  };
  const { client, job } = await revised(t, 1, stream, { silence: 1_000 });
  assert.equal((await collect(client.watch("1"))).length, 2);
  assert.equal(job.streams.length, 1);
});

test("a stream that never speaks is given up for polling", { timeout: 20_000 }, async (t) => {
  const { client, job } = await revised(t, 1, (response) => response.flushHeaders(), { silence: 200 });
  assert.equal((await collect(client.watch("1"))).at(-1).done, true);
  assert.equal(job.streams.length, 1);
});

/** A stream whose connections break and are answered by a proxy in front, as it goes through `answers` in turn. */
function flaky(t, answers, options) {
  const asked = [];
  const handler = (request, response) => {
    asked.push(request.headers["last-event-id"]);
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (typeof answer === "number") {
      response.writeHead(answer, { "Content-Type": "text/html" });
      response.end("<html><h1>Bad Gateway</h1></html>");
    } else {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(answer, () => response.destroy());
    }
  };
  return serve(t, handler, options).then((client) => ({ client, asked }));
}

test("follow goes on behind a proxy's 502, where it was", { timeout: 30_000 }, async (t) => {
  const { client, asked } = await flaky(t, [
    ':\n\nretry: 2000\nid: e1\nevent: job\ndata: {"n":1}\n\n',
    502,
    502,
    "id: e2\n\n",
    503,
    ':\n\nid: e3\nevent: job\ndata: {"n":2}\n\n',
    204,
  ]);
  const events = await collect(client.follow("/v1/jobs/stream?type=a"));
  assert.deepEqual(events, [
    { id: "e1", type: "job", data: { n: 1 } },
    { id: "e3", type: "job", data: { n: 2 } },
  ]);
  assert.deepEqual(asked, [undefined, "e1", "e1", "e1", "e2", "e2", "e3"]);
});

test("follow gives up when the outage outlasts its patience, and at once where it is refused", async (t) => {
  const { client } = await flaky(t, [502], { retryFor: 0 });
  await assert.rejects(collect(client.follow("/v1/jobs/stream")), (error) => error.status === 502);
  await assert.rejects(collect(callboard.follow("/v1/jobs/stream?stauts=failed")), (error) => error.status === 422);
});

test("follow tells what happens to a job, up to its end", async () => {
  const job = await callboard.submit("diagnostics.sleep", { seconds: 0.2, steps: 2 });
  const events = await collect(callboard.follow(job.links.events));
  assert.deepEqual([events[0].type, events.at(-1).type], ["submitted", "finished"]);
  assert.equal(events.at(-1).data.status, "succeeded");
  assert.deepEqual(await collect(callboard.follow(job.links.events, { lastEventId: events.at(-1).id })), []);
});

test("a ticket opens its stream for who cannot send a key", async () => {
  const job = await callboard.submit("e2e.noop", {});
  const { url } = await callboard.streamTicket(job.links.events);
  assert.ok(url.startsWith(URL));
  const text = await (await fetch(url, { headers: { Accept: "text/event-stream" } })).text();
  assert.ok(text.includes("event: finished"));
});

test("watch comes back to a stream that broke", { timeout: 20_000 }, async (t) => {
  let revision = 0;
  const streams = [];
  const client = await serve(t, (request, response) => {
    const etag = `"${revision}"`;
    if (request.url.endsWith("/events")) {
      streams.push(request.headers["last-event-id"]);
      if (streams.length === 2) return respond(response, 502, {});
      revision += 1;
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(`id: e${revision}\ndata: {}\n\n`, () => response.destroy());
    } else if (request.headers["if-none-match"] === etag && !request.url.includes("wait=")) {
      response.writeHead(304, { ETag: etag });
      response.end();
    } else respond(response, 200, { id: "1", revision, done: revision === 2 }, { ETag: etag });
  });
  assert.equal((await collect(client.watch("1"))).at(-1).done, true);
  assert.deepEqual(streams, [undefined, "e1", "e1"]);
});
