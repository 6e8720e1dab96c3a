import type { Callboard, Job, SubmitOptions } from "./callboard.js";

export interface AsyncJob<Result = unknown> {
  /** The job as last seen; null before there is one. */
  job: Job<Result> | null;
  /** Why it cannot be submitted or seen. A job that fails is no error: its `job.error` says why. */
  error: unknown;
  /** A job has been submitted, or is watched, and is not done. */
  pending: boolean;
  /** Submit a job and watch it, in place of the one before. Fulfilled when it is done; never rejected. */
  submit(type: string, payload: unknown, options?: Omit<SubmitOptions, "signal">): Promise<void>;
  /** Ask the job to stop. */
  cancel(): Promise<void>;
}

/**
 * Submit a job, or watch one, and render again whenever it changes. The watch ends with the component; the job goes on.
 *
 * @param callboard the same object in every render, made outside the component or with `useMemo`.
 * @param options `jobId` names a job to watch from the start.
 */
export declare function useAsyncJob<Result = unknown>(
  callboard: Callboard,
  options?: { jobId?: string | null },
): AsyncJob<Result>;
