export type JobStatus =
  | "blocked"
  | "scheduled"
  | "queued"
  | "running"
  | "retrying"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "expired";

export interface Progress {
  percent: number | null;
  current: number;
  total: number | null;
  step: string | null;
  message: string | null;
  updated_at: string;
}

export interface JobError {
  reason: "exception" | "time_limit" | "worker_lost" | "cancelled" | "expired" | "invalid_payload" | "unknown_type";
  type: string;
  message: string;
  attempt: number;
}

/** Those workers that took the job did not know its type; it waits for others. */
export interface WaitingFor {
  kind: "worker";
  type: string;
  since: string;
  /** Workers that took it and did not know the type. */
  tries: number;
}

/** A job. Times are RFC 3339, in UTC. */
export interface Job<Result = unknown> {
  id: string;
  type: string;
  queue: string;
  status: JobStatus;
  /** Whether it has ended: succeeded, failed, cancelled or expired. */
  done: boolean;
  priority: number;
  owner: string;
  tags: Record<string, string>;
  progress: Progress | null;
  /** What it returned; null until it has succeeded. */
  result: Result | null;
  error: JobError | null;
  /** Number of the present or last attempt; 0 before the first. */
  attempt: number;
  max_retries: number;
  /** Seconds that one attempt may take. */
  time_limit: number;
  created_at: string;
  scheduled_at: string | null;
  started_at: string | null;
  finished_at: string | null;
  expires_at: string | null;
  next_attempt_at: string | null;
  cancel_requested_at: string | null;
  result_ttl: number | null;
  /** What it waits for, other than its time or its turn. */
  waiting_for: WaitingFor | null;
  parent_id: string | null;
  worker: string | null;
  links: { self: string; result: string; events: string; attempts: string; cancel: string };
}

export interface CallOptions {
  /** Aborted, it ends the call with its reason. The job goes on. */
  signal?: AbortSignal;
}

/** How a job is to run; what is left out is as its type says. */
export interface SubmitOptions extends CallOptions {
  queue?: string;
  /** 0 to 9, higher first. */
  priority?: number;
  /** Seconds until it is due. Not together with `scheduled_at`. */
  delay?: number;
  /** RFC 3339. */
  scheduled_at?: string;
  /** RFC 3339. It ends as expired if it has not started by then. */
  expires_at?: string;
  /** Seconds that one attempt may take. */
  time_limit?: number;
  max_retries?: number;
  tags?: Record<string, string>;
  /** While a live job of the same owner and type has it, a submission gives that job. */
  unique_key?: string;
  /** Seconds after a success for which payload and result are kept. */
  result_ttl?: number;
  parent_id?: string;
  /** The same key with the same job gives the same job. Without one, each call makes its own. */
  idempotencyKey?: string;
}

export interface PollOptions<Result = unknown> extends CallOptions {
  /** Told of the job as first seen, and after each change that a look finds. */
  onProgress?: (job: Job<Result>) => void;
  /** Milliseconds between two looks. Default: 1000. */
  interval?: number;
  /** Looks after which it gives up. Default: no limit. */
  maxAttempts?: number;
}

export interface FollowOptions extends CallOptions {
  /** Begins after this event. Default: as the stream does. */
  lastEventId?: string;
}

export interface StreamEvent<Data = unknown> {
  /** Where the stream goes on after it. */
  id?: string;
  type: string;
  data: Data;
}

export interface StreamTicket {
  /** Of the stream, for an `EventSource`. Whoever has it can read the stream: keep it out of logs. */
  url: string;
  ticket: string;
  /** By then the stream has to be opened. */
  expires_at: string;
}

export interface CallboardOptions {
  /** Sent as a bearer token. Keep keys out of pages that others can read. */
  apiKey?: string;
  /** Default: the global one. */
  fetch?: typeof fetch;
  /** Milliseconds that one outage may last before a call fails; 0 sends every request once. Default: 30000. */
  retryFor?: number;
  /** Milliseconds after which an answer is given up. Default: 30000. */
  timeout?: number;
  /**
   * Milliseconds of silence after which an event stream is opened anew. More than the server's
   * `CALLBOARD_STREAM_HEARTBEAT`. Default: 45000.
   */
  silence?: number;
}

/**
 * Speaks to one server.
 *
 * A request that gets no answer, or that the server is too busy for, is sent again for a while; submissions carry an
 * Idempotency-Key, so sent twice they still make one job. Every method throws `CallboardError` when the server refuses.
 */
export declare class Callboard {
  /**
   * `url`: of the server. Default: in a page, the server that it is from; elsewhere `CALLBOARD_URL` with the key of
   * `CALLBOARD_API_KEY`, or `http://127.0.0.1:8000`.
   */
  constructor(url?: string | URL, options?: CallboardOptions);

  /** Submit a job. It is stored durably once the promise is fulfilled. */
  submit<Result = unknown>(type: string, payload: unknown, options?: SubmitOptions): Promise<Job<Result>>;

  /** Return the job as it is now. */
  getJob<Result = unknown>(id: string, options?: CallOptions): Promise<Job<Result>>;

  /** Return the result alone. Throws with `code` "not-done" or "unsuccessful" when there is none. */
  getResult<Result = unknown>(id: string, options?: CallOptions): Promise<Result>;

  /** Ask a job to stop. One that waits is cancelled already in the job returned, one that runs is about to stop. */
  cancel<Result = unknown>(id: string, options?: CallOptions): Promise<Job<Result>>;

  /** Look at a job until it is done, whether it succeeded or not. Throws `PollTimeout` after `maxAttempts` looks. */
  pollJobStatus<Result = unknown>(id: string, options?: PollOptions<Result>): Promise<Job<Result>>;

  /**
   * Yield the job as it is, then as it is after each change, up to the state in which it is done.
   *
   * Learns of changes from the server's event stream, which is opened anew when it goes silent or breaks; until then, and
   * where there is none, by long polling.
   */
  watch<Result = unknown>(id: string, options?: CallOptions): AsyncGenerator<Job<Result>, void, undefined>;

  /**
   * Yield the events of a live stream: `/v1/jobs/stream` or `/v1/jobs/<id>/events`, with its parameters. As `EventSource`
   * does, but with the key, and through outages: a stream that breaks, or that a proxy answers with 502, is opened anew
   * where it was. Ends when nothing can come any more.
   */
  follow<Data = unknown>(path: string, options?: FollowOptions): AsyncGenerator<StreamEvent<Data>, void, undefined>;

  /** Make a ticket with which an `EventSource` can open this live stream (path and query) for a minute. */
  streamTicket(path: string, options?: CallOptions): Promise<StreamTicket>;
}

/** The server refused. */
export declare class CallboardError extends Error {
  readonly name: "CallboardError";
  /** The HTTP status. */
  readonly status: number;
  /** Names the kind of problem, for programs. */
  readonly code: string;
  readonly detail: string;
  /** What is wrong with the request, with JSON pointers into its body. */
  readonly errors: { detail: string; pointer: string }[];
  /** Of a job that is done without success. */
  readonly jobError: JobError | null;
  /** Seconds after which trying again makes sense. */
  readonly retryAfter: number | null;
  /** Under which the server's log tells more. */
  readonly requestId: string | null;
}

/** No response arrived, in the 30 s (`retryFor`) for which requests are sent again; `cause` is what `fetch` threw. */
export declare class ServerUnreachable extends Error {
  readonly name: "ServerUnreachable";
}

/** The job was not done in time. It goes on. */
export declare class PollTimeout extends Error {
  readonly name: "PollTimeout";
  /** The job as last seen. */
  readonly job: Job;
}
