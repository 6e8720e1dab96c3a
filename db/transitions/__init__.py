"""The verbs that move a job from state to state. Nothing else writes ``jobs``, ``job_history`` or ``job_attempts``.

Each verb takes a connection in a transaction and is fenced: it states from which state, and for which attempt, it may
act, and rows that are elsewhere by now are left alone. What it returns is durable once the transaction commits.

=============  ==============================================  ==========================================
verb           from                                            to
=============  ==============================================  ==========================================
submit         nothing                                         scheduled or queued
promote        scheduled, retrying                             queued
mark_dispatched / undispatch   queued                          queued (in the broker / not)
claim          queued                                          running
finish         running, this attempt                           succeeded, failed, cancelled
retry_later    running, this attempt                           retrying
release        running, this attempt                           queued
cancel         blocked, scheduled, queued, retrying            cancelled (running: the request is noted)
expire         waiting and past ``expires_at``                 expired
amend          waiting                                         scheduled or queued, as its new time asks
reopen         failed, cancelled, expired                      queued
erase, consume  terminal                                       the same, without what it held
load, load_missing  nothing (made elsewhere)                   terminal
=============  ==============================================  ==========================================
"""

from callboard.db.rules.attempts import AttemptId, ClaimedJob
from callboard.db.rules.new_job import NewJob
from callboard.db.transitions.amending import Amendment, amend
from callboard.db.transitions.erasing import consume, erase, erase_all
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
    "Written",
    "amend",
    "cancel",
    "cancel_all",
    "claim",
    "consume",
    "erase",
    "erase_all",
    "expire",
    "find_submission",
    "finish",
    "is_one_statement",
    "load",
    "load_missing",
    "mark_dispatched",
    "promote",
    "record",
    "record_and_claim",
    "release",
    "reopen",
    "reopen_all",
    "retry_later",
    "submit",
    "undispatch",
]
