"""The verbs that move a job from state to state. Nothing else writes ``jobs``, ``job_history`` or ``job_attempts``.

Each verb takes a connection in a transaction and is fenced: its statements name the states (and the attempt) from which
it may act, and leave other rows alone. What it returns is durable once the transaction has committed.

==================  ================================================  ===================================
verb                from                                              to
==================  ================================================  ===================================
submit              no job                                            scheduled or queued, by its time
promote             scheduled, retrying or blocked, and due           queued
mark_dispatched     queued                                            queued, with its message in the broker
undispatch          queued, with its message in the broker            queued
claim               queued                                            running
await_worker        queued, its type unknown to the worker            blocked; failed once the grace is over
recall              blocked, for a worker that knows its type         queued
finish              running, this attempt                             succeeded, failed or cancelled
retry_later         running, this attempt, no cancel requested        retrying
release             running, this attempt, no cancel requested        queued
cancel              blocked, scheduled, queued or retrying            cancelled
cancel              running                                           running, with the cancel requested
expire              never started, and past ``expires_at``            expired
amend               blocked, scheduled, queued or retrying            the same, or by its new time
reopen              failed, cancelled or expired, not erased          queued
erase, consume      terminal                                          the same, without its contents
expire_results      succeeded, its ``result_ttl`` past                the same, without its contents
load, load_missing  no job                                            terminal
==================  ================================================  ===================================

``record`` and ``record_and_claim`` choose among finish, retry_later and release by the outcome of each attempt. The
modules are named by gerunds (``submitting``, ``finishing``), as a module ``submit`` would hide the function ``submit``.
"""

from callboard.db.rules.attempts import AttemptId, ClaimedJob
from callboard.db.rules.new_job import NewJob
from callboard.db.transitions.amending import Amendment, amend
from callboard.db.transitions.awaiting import UnknownType, await_worker, recall
from callboard.db.transitions.erasing import consume, erase, erase_all, expire_results
from callboard.db.transitions.finishing import Ending, finish, release, retry_later
from callboard.db.transitions.idempotency import find_submission
from callboard.db.transitions.loading import load, load_missing
from callboard.db.transitions.recording import Written, record, record_and_claim
from callboard.db.transitions.reopening import reopen, reopen_all
from callboard.db.transitions.starting import claim, mark_dispatched, promote, undispatch
from callboard.db.transitions.stopping import cancel, cancel_all, expire
from callboard.db.transitions.submission import (
    IdempotencyKey,
    SubmissionKind,
    SubmissionRequest,
    SubmissionResult,
)
from callboard.db.transitions.submitting import is_one_statement, submit

__all__ = [
    "Amendment",
    "AttemptId",
    "ClaimedJob",
    "Ending",
    "IdempotencyKey",
    "NewJob",
    "SubmissionKind",
    "SubmissionRequest",
    "SubmissionResult",
    "UnknownType",
    "Written",
    "amend",
    "await_worker",
    "cancel",
    "cancel_all",
    "claim",
    "consume",
    "erase",
    "erase_all",
    "expire",
    "expire_results",
    "find_submission",
    "finish",
    "is_one_statement",
    "load",
    "load_missing",
    "mark_dispatched",
    "promote",
    "recall",
    "record",
    "record_and_claim",
    "release",
    "reopen",
    "reopen_all",
    "retry_later",
    "submit",
    "undispatch",
]
