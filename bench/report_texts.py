"""What the report says beside its figures."""

from __future__ import annotations

from typing import Final

HEAD: Final = """\
# How fast Callboard is

Written by `make bench`. Everything runs on one machine, side by side: servers, Callboard, what it is compared with, and
what measures them; all may use all cores. Figures are medians of rounds in which the contestants take turns, with the
lowest and the highest in brackets. A ratio compares within a round, so it holds where rates drift. One part alone is
measured anew with `python -m bench --only PART`; what it finds replaces that part below.

## Goals

Why some are missed, and what was tried: [0011](../docs/decisions/0011-what-limits-the-rate.md).
"""

TITLES: Final = {
    "drain": "Jobs that do nothing, beside Dramatiq alone",
    "peers": "Jobs that do nothing, beside other task systems",
    "http": "Requests",
    "latency": "From submission to start",
    "mix": "A realistic mix",
    "limits": "With priorities and limits",
    "statements": "SQL statements",
    "scale": "More of everything",
    "waiting": "What waits",
    "history": "With a long history",
}

EXPLANATIONS: Final = {
    "drain": """\
A backlog is there before the clock starts. *Dramatiq alone* is its own worker with its default middleware and
persistent messages on the same RabbitMQ, with as many processes and threads; nothing is stored about its jobs, and
their messages are published beforehand. Callboard's jobs lie in PostgreSQL; publishing them with confirms, claims, ends
and the history are all within the measured time. Its clock is PostgreSQL's: the commit that made each finished job
durable. The first tenth is left out on both sides. CPU time and memory are of all processes of a kind together;
`worker` includes all worker processes.""",
    "peers": """\
Each drains the same number of jobs that do nothing, submitted before its worker starts, and is done when PostgreSQL has
committed the last result: the time of every row is its commit's, and the rows are counted. The first tenth, with the
start of the processes, is left out. Callboard, Dramatiq and Celery run `def` jobs, the
others `async def` jobs on the event loop. Each is set up as its documentation advises for many short jobs; one
PostgreSQL and one RabbitMQ serve all, with the settings below and every commit on disk.""",
    "http": """\
64 connections with one request under way on each (4 for the submissions of 1,000 jobs), one api process, against a
FastAPI endpoint that returns a constant under the same server settings (uvloop, httptools). A submission is answered
after its commit. No worker runs.""",
    "latency": """\
From the moment a client wants to send `POST /v1/jobs` to the first line of the handler; one worker of 8 threads.
*Idle*: one job after the other, with pauses of 20 to 80 ms. *Dramatiq alone behind an endpoint* is the same client, a
FastAPI endpoint that sends a message and waits for RabbitMQ's confirm, and Dramatiq's worker; nothing is stored, and
nobody can ask how the job is. *Half load*: half as many a second as the whole way (api, PostgreSQL, dispatcher,
RabbitMQ, worker, on the same cores) takes at most, at random times.""",
    "mix": """\
Each job waits 10 ms in four steps, as for another service, and the first attempt of every tenth job fails and is
retried 100 ms later. In Callboard it reports progress after each step; Dramatiq alone has nobody to report to.""",
    "limits": """\
The same backlog in one queue, 1 × 32 threads, without and with what the dispatcher has to heed. The limits are wide
enough not to hold anything up by themselves: what is seen is the cost of counting.""",
    "statements": """\
Counted in PostgreSQL's log while a backlog is submitted and worked off, heartbeats and upkeep included. With one
thread there is nothing to commit together: that is the cost of a job before batching.""",
    "scale": "One thing changes at a time; all else is one process of 32 threads, jobs that do nothing and one queue.",
    "waiting": """\
Of each backlog the first jobs are worked off while the others go on waiting in the same queue. Lateness is measured
against the second at which all jobs were due.""",
    "history": """\
Two systems side by side, one of whose databases has a history of 90 days (`callboard generate-history`). What is
measured is explained above; drains are those of 1 × 32 threads, of jobs that do nothing three times as many after some
that are not measured; half load is half of what the empty side takes.""",
}

#: Parts whose report shows memory.
WITH_MEMORY: Final = {"drain", "peers", "history"}
