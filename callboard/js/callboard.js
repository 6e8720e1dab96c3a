/**
 * Callboard's HTTP API for browsers, Node, Deno and Bun. No dependency; everything is `fetch`.
 *
 *     import { Callboard } from "./callboard.js";
 *     const callboard = new Callboard("https://jobs.example.com", { apiKey });
 *     const job = await callboard.submit("report.build", { month: "2026-10" });
 *     const done = await callboard.pollJobStatus(job.id, { onProgress: (job) => console.log(job.progress) });
 *
 * The types, and what each function does, are in `callboard.d.ts`.
 */

const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5_000;
const LONGEST_RETRY_AFTER = 60_000;
/** Seconds that one request waits for a change. Well below what proxies and load balancers allow. */
const LONG_POLL = 25;
const AWAY = new Set([502, 503, 504]);
/** Why a stream was ended that had gone silent. */
const SILENT = new Error("The event stream has gone silent.");

/** Where a program without a URL sends its requests, and with which key: in a page, to the server that it is from. */
function environment() {
  if (globalThis.location !== undefined) return { url: "" };
  const variables = globalThis.process?.env ?? {};
  return {
    url: variables.CALLBOARD_URL || "http://127.0.0.1:8000",
    apiKey: variables.CALLBOARD_API_KEY || undefined,
  };
}

/** The server refused; what it said is in the properties. */
export class CallboardError extends Error {
  constructor(status, problem = {}, headers = new Headers()) {
    const title = problem.title ?? `The server answered ${status}`;
    super(problem.detail ? `${title}: ${problem.detail}` : title);
    this.name = "CallboardError";
    this.status = status;
    this.code = problem.code ?? "http-error";
    this.detail = problem.detail ?? "";
    this.errors = problem.errors ?? [];
    this.jobError = problem.error ?? null;
    this.retryAfter = seconds(headers.get("Retry-After"));
    this.requestId = headers.get("X-Request-ID");
  }
}

/** No response arrived. A request that may have reached the server may have been acted on. */
export class ServerUnreachable extends Error {
  constructor(address, cause) {
    const why = cause.cause?.code ?? cause.cause?.message ?? cause.message;
    const where = address || "this page's own address";
    super(`No response from the server at ${where} (${why}). Is it running, and is this its URL?`, { cause });
    this.name = "ServerUnreachable";
  }
}

/** The job was not done in time. It goes on. */
export class PollTimeout extends Error {
  constructor(job, attempts) {
    super(`Job ${job.id} is still ${job.status} after ${attempts} looks at it. It goes on.`);
    this.name = "PollTimeout";
    this.job = job;
  }
}

export class Callboard {
  #base;
  #headers;
  #fetch;
  #retryFor;
  #timeout;
  #silence;

  constructor(
    url = undefined,
    { apiKey, fetch = globalThis.fetch, retryFor = 30_000, timeout = 30_000, silence = 45_000 } = {},
  ) {
    // The environment's key goes to no other server than the environment's.
    const server = url === undefined ? environment() : { url };
    const key = apiKey ?? server.apiKey;
    this.#base = String(server.url).replace(/\/+$/, "");
    this.#headers = key ? { Authorization: `Bearer ${key}` } : {};
    // Browsers insist on being called as a method of the window.
    this.#fetch = (...given) => fetch.call(globalThis, ...given);
    this.#retryFor = retryFor;
    this.#timeout = timeout;
    this.#silence = silence;
  }

  async submit(type, payload, { idempotencyKey = newKey(), signal, ...options } = {}) {
    const body = JSON.stringify({ type, payload, ...options });
    const headers = { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
    return (await this.#send("POST", "/v1/jobs", { body, headers, signal })).json();
  }

  async getJob(id, { signal } = {}) {
    return (await this.#send("GET", jobPath(id), { signal })).json();
  }

  async getResult(id, { signal } = {}) {
    return (await this.#send("GET", `${jobPath(id)}/result`, { signal })).json();
  }

  async cancel(id, { signal } = {}) {
    return (await this.#send("POST", `${jobPath(id)}/cancel`, { signal })).json();
  }

  async pollJobStatus(id, { onProgress, interval = 1_000, maxAttempts = Infinity, signal } = {}) {
    let etag = null;
    let job = null;
    for (let attempt = 1; ; attempt++) {
      const response = await this.#send("GET", jobPath(id), { headers: ifNoneMatch(etag), signal });
      if (response.status !== 304) {
        job = await response.json();
        etag = response.headers.get("ETag");
        onProgress?.(job);
      }
      if (job.done) return job;
      if (attempt >= maxAttempts) throw new PollTimeout(job, attempt);
      await pause(interval, signal);
    }
  }

  async *watch(id, { signal } = {}) {
    let etag = null;
    let job = null;
    const look = async (wait) => {
      const path = etag && wait ? `${jobPath(id)}?wait=${wait}` : jobPath(id);
      const response = await this.#send("GET", path, { headers: ifNoneMatch(etag), signal, wait });
      if (response.status === 304) return false;
      job = await response.json();
      etag = response.headers.get("ETag");
      return true;
    };
    await look(0);
    yield job;
    const stream = newStream(`${jobPath(id)}/events`);
    for (let isFirst = true; !job.done; isFirst = false) {
      // One that never spoke is held up by a proxy, as another would be.
      if (isFirst || stream.spoke) {
        // An event says that something has changed; what there is now, the job itself says.
        for await (const _event of this.#events(stream, signal)) {
          if (await look(0)) yield job;
          if (job.done) return;
        }
        if (stream.silent) {
          if (await look(0)) yield job;
          continue;
        }
      }
      // The stream broke, or there is none. This waits until the server is back, and for the next change.
      const asked = Date.now();
      if (await look(LONG_POLL)) yield job;
      if (!job.done) await pause(Math.max(0, asked + 100 - Date.now()), signal);
    }
  }

  async *follow(path, { lastEventId, signal } = {}) {
    const stream = newStream(path, lastEventId);
    let last = null;
    let wanted = FIRST_PAUSE;
    for (;;) {
      for await (const { id, event, data } of this.#events(stream, signal)) {
        last = null;
        wanted = FIRST_PAUSE;
        yield { id, type: event ?? "message", data: JSON.parse(data) };
      }
      if (stream.over) return;
      if (stream.heard) {
        last = null;
        wanted = FIRST_PAUSE;
      }
      last ??= Date.now() + this.#retryFor;
      const { failure } = stream;
      const longest = Math.max(wanted * (0.5 + Math.random() / 2), (failure?.retryAfter ?? 0) * 1_000);
      if (failure && (!isTransient(failure) || Date.now() + longest > last)) throw failure;
      await pause(longest, signal);
      wanted = Math.min(wanted * 2, LONGEST_PAUSE);
    }
  }

  async streamTicket(path, { signal } = {}) {
    const body = JSON.stringify({ url: path });
    const headers = { "Content-Type": "application/json" };
    const made = await (await this.#send("POST", "/v1/stream-tickets", { body, headers, signal })).json();
    return { ...made, url: `${this.#base}${path}${path.includes("?") ? "&" : "?"}ticket=${made.ticket}` };
  }

  /**
   * Yield the events of a stream as they come, until it ends or breaks. Why is in the stream then: `over`, nothing can
   * come any more; `failure`, the server refused or is away; `silent`, its other end is lost: the server sends a comment
   * when there is nothing else to send.
   */
  async *#events(stream, signal) {
    const ended = new AbortController();
    const abort = () => ended.abort(signal.reason);
    signal?.addEventListener("abort", abort, { once: true });
    let watchdog;
    const isAlive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => ended.abort(SILENT), this.#silence);
    };
    Object.assign(stream, { heard: false, over: false, failure: null });
    try {
      isAlive();
      const since = stream.lastEventId === undefined ? {} : { "Last-Event-ID": stream.lastEventId };
      const response = await this.#fetch(this.#base + stream.path, {
        headers: { ...this.#headers, ...since, Accept: "text/event-stream" },
        signal: ended.signal,
        cache: "no-store",
      });
      stream.over = response.status === 204;
      if (!response.ok) {
        stream.failure = new CallboardError(response.status, await problemOf(response), response.headers);
      } else if (response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        const heard = () => {
          stream.heard = stream.spoke = true;
          isAlive();
        };
        for await (const event of readEvents(response.body, heard)) {
          stream.lastEventId = event.id ?? stream.lastEventId;
          if (event.data !== undefined) yield event;
        }
      } else if (!stream.over) {
        stream.failure = new CallboardError(response.status, { title: "The answer is no event stream" });
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (ended.signal.reason !== SILENT && !isNetworkError(error)) throw error;
      stream.failure = error;
    } finally {
      clearTimeout(watchdog);
      stream.silent = stream.heard && ended.signal.reason === SILENT;
      signal?.removeEventListener("abort", abort);
      // Also ends a stream that nobody reads any more.
      ended.abort();
    }
  }

  async #send(method, path, { body, headers, signal, wait = 0 } = {}) {
    let last = null;
    for (let wanted = FIRST_PAUSE; ; wanted = Math.min(wanted * 2, LONGEST_PAUSE)) {
      const failure = await this.#attempt(method, path, { body, headers, signal, wait });
      if (failure instanceof Response) return failure;
      last ??= Date.now() + this.#retryFor;
      const longest = Math.max(wanted * (0.5 + Math.random() / 2), (failure.retryAfter ?? 0) * 1_000);
      if (!isTransient(failure, headers) || Date.now() + longest > last) throw failure;
      await pause(longest, signal);
    }
  }

  /** Return the response, or what kept it from being one. */
  async #attempt(method, path, { body, headers, signal, wait }) {
    const limit = AbortSignal.timeout(this.#timeout + wait * 1_000);
    try {
      const response = await this.#fetch(this.#base + path, {
        method,
        body,
        headers: { Accept: "application/json", ...this.#headers, ...headers },
        signal: signal ? anyOf(signal, limit) : limit,
        // A browser would answer If-None-Match out of its own cache, and hide the 304.
        cache: "no-store",
      });
      if (response.ok || response.status === 304) return response;
      return new CallboardError(response.status, await problemOf(response), response.headers);
    } catch (error) {
      signal?.throwIfAborted();
      if (isNetworkError(error)) return new ServerUnreachable(this.#base, error);
      throw error;
    }
  }
}

/**
 * Yield the events of a stream (`text/event-stream`): `{ id, event, data }`, without `data` if only the id has changed.
 * `heard` is called as anything comes.
 */
async function* readEvents(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let event = {};
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    text += value;
    // A line may end in CR, LF or both; a CR at the very end may be half of both.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    text = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (event.data !== undefined || event.id !== undefined) yield event;
        event = {};
        continue;
      }
      const [, name, content] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (name === "data") event.data = event.data === undefined ? content : `${event.data}\n${content}`;
      else if (name === "id" || name === "event") event[name] = content;
    }
  }
}

function newStream(path, lastEventId) {
  return { path, lastEventId, spoke: false, heard: false, silent: false, over: false, failure: null };
}

function jobPath(id) {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}

function ifNoneMatch(etag) {
  return etag ? { "If-None-Match": etag } : {};
}

function newKey() {
  // randomUUID is missing on pages that are not served securely.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function seconds(text) {
  return /^\d+$/.test(text ?? "") ? Number(text) : null;
}

async function problemOf(response) {
  try {
    return (await response.json()) ?? {};
  } catch {
    return {};
  }
}

function isNetworkError(error) {
  return error instanceof TypeError || error?.name === "TimeoutError" || error?.name === "AbortError";
}

/** Whether sending it again may help. All requests here can be sent twice: submissions carry a key. */
function isTransient(failure, headers) {
  if (!(failure instanceof CallboardError)) return true;
  if (failure.status === 429) return (failure.retryAfter ?? 0) * 1_000 <= LONGEST_RETRY_AFTER;
  if (failure.status === 409) return failure.retryAfter !== null && headers?.["Idempotency-Key"] !== undefined;
  return AWAY.has(failure.status);
}

/** `AbortSignal.any`, which not every browser has yet. */
function anyOf(...signals) {
  if (AbortSignal.any) return AbortSignal.any(signals);
  const controller = new AbortController();
  for (const signal of signals) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true, signal: controller.signal });
  }
  return controller.signal;
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
