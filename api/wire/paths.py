"""The path of one job, distinct from those of other resources under ``/v1/jobs/``."""

from __future__ import annotations

from typing import Final

from starlette.convertors import Convertor, register_url_convertor


class _UuidText(Convertor[str]):
    """Matches text of the length of a UUID; shorter names under ``/v1/jobs/`` are other resources."""

    regex = "[^/]{36}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("uuid_text", _UuidText())

JOB: Final = "/v1/jobs/{job_id:uuid_text}"
