/**
 * A React hook around `callboard.js`: submit a job, render how it goes.
 *
 *     const { job, error, submit, cancel } = useAsyncJob(callboard);
 *     <button onClick={() => submit("report.build", { month })}>Build</button>
 */

import { useCallback, useEffect, useRef, useState } from "react";

const IDLE = { job: null, error: null, pending: false };

export function useAsyncJob(callboard, { jobId = null } = {}) {
  const [state, setState] = useState(IDLE);
  // The watch that the component shows. One that it no longer shows must not change what it shows.
  const current = useRef(null);

  const follow = useCallback(
    async (begin) => {
      current.current?.abort();
      const watching = new AbortController();
      const { signal } = watching;
      current.current = watching;
      const show = (change) => {
        if (!signal.aborted) setState((before) => ({ ...before, ...change }));
      };
      setState({ ...IDLE, pending: true });
      try {
        const id = await begin(signal);
        for await (const job of callboard.watch(id, { signal })) show({ job, pending: !job.done });
      } catch (error) {
        // Aborted, it is another watch's turn.
        show({ error, pending: false });
      }
    },
    [callboard],
  );

  useEffect(() => {
    if (jobId !== null) void follow(async () => jobId);
    return () => current.current?.abort();
  }, [follow, jobId]);

  const submit = useCallback(
    (type, payload, options) =>
      follow(async (signal) => (await callboard.submit(type, payload, { ...options, signal })).id),
    [callboard, follow],
  );

  const id = state.job?.id ?? null;
  const cancel = useCallback(async () => {
    if (id !== null) await callboard.cancel(id);
  }, [callboard, id]);

  return { ...state, submit, cancel };
}
