from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.db.errors import ConfigurationError, NotFound, StorageFull, TooLarge, Unavailable
from callboard.db.files.storage import BucketStorage, Storage, open_storage
from callboard.db.rules.ids import new_id
from callboard.db.settings import Settings
from tests.services.s3 import BUCKET, private_s3

MIB = 2**20
LIMIT = 24 * MIB
BIG = os.urandom(MIB) * 20  # three parts of a multipart upload


class Boom(Exception):
    """What goes wrong on the client's side."""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    with private_s3() as endpoint:
        yield endpoint


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    use_s3(s3_server, monkeypatch)
    return s3_server


def use_s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")


def bucket_storage(prefix: str, **changes: object) -> Storage:
    return open_storage(Settings(files_url=f"s3://{BUCKET}/{prefix}", max_file_bytes=LIMIT, **changes))  # type: ignore[arg-type]


def directory_storage(directory: Path) -> Storage:
    return open_storage(Settings(files_url=directory.as_uri(), max_file_bytes=LIMIT))


@pytest.fixture(params=["directory", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "directory":
        return directory_storage(tmp_path / "store of files")
    request.getfixturevalue("s3")
    return bucket_storage(f"some/{new_id()}")


@pytest.fixture
def job_dir(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def blocks(content: bytes, size: int = 100_000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def content_of(storage: Storage, file_id: UUID, size: int) -> bytes:
    return b"".join(storage.read(file_id, 0, size))


@pytest.mark.parametrize("content", [b"", b"x", b"some bytes" * 1000, BIG], ids=["empty", "one", "small", "big"])
def test_gives_back_what_was_put(storage: Storage, content: bytes, job_dir: Path) -> None:
    file_id = new_id()

    stored = storage.put(file_id, blocks(content))

    assert stored.size == len(content)
    assert stored.sha256 == hashlib.sha256(content).digest()
    assert content_of(storage, file_id, len(content)) == content
    assert storage.open_local(file_id, job_dir).read_bytes() == content


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (7, 7), (MIB - 1, 9 * MIB + 1), (20 * MIB - 1, 20 * MIB)])
def test_gives_back_a_part(storage: Storage, start: int, stop: int) -> None:
    file_id = new_id()
    storage.put(file_id, blocks(BIG))

    assert b"".join(storage.read(file_id, start, stop)) == BIG[start:stop]


def test_a_read_that_is_given_up_is_fine(storage: Storage) -> None:
    file_id = new_id()
    storage.put(file_id, blocks(BIG))

    reading = storage.read(file_id, 0, len(BIG))

    assert BIG.startswith(next(reading))
    del reading


def test_a_file_is_seen_only_as_a_whole(storage: Storage) -> None:
    file_id = new_id()

    def watched() -> Iterator[bytes]:
        for block in blocks(BIG, 5 * MIB):
            with pytest.raises(NotFound):
                reader.submit(storage.read, file_id, 0, 1).result()
            yield block

    with ThreadPoolExecutor(1) as reader:
        storage.put(file_id, watched())

    assert content_of(storage, file_id, len(BIG)) == BIG


@pytest.mark.parametrize("good", [0, MIB, 19 * MIB])
def test_a_broken_upload_leaves_nothing(storage: Storage, good: int, s3: str, tmp_path: Path) -> None:
    file_id = new_id()

    def broken() -> Iterator[bytes]:
        yield from blocks(BIG[:good])
        raise Boom

    with pytest.raises(Boom):
        storage.put(file_id, broken())

    assert_nothing_left(storage, file_id, s3, tmp_path)


def test_an_upload_over_the_limit_leaves_nothing(storage: Storage, s3: str, tmp_path: Path) -> None:
    file_id = new_id()
    consumed = []

    def endless() -> Iterator[bytes]:
        while True:
            consumed.append(1)
            yield b"x" * MIB

    with pytest.raises(TooLarge, match="25,165,824 bytes"):
        storage.put(file_id, endless())

    assert len(consumed) == LIMIT // MIB + 1
    assert_nothing_left(storage, file_id, s3, tmp_path)


def test_an_upload_of_just_the_limit_is_taken(storage: Storage) -> None:
    assert storage.put(new_id(), (b"x" * MIB for _ in range(LIMIT // MIB))).size == LIMIT


def assert_nothing_left(storage: Storage, file_id: UUID, s3: str, tmp_path: Path) -> None:
    assert list(storage.objects()) == []
    with pytest.raises(NotFound, match=str(file_id)):
        storage.read(file_id, 0, 1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert "<Upload>" not in httpx.get(f"{s3}/{BUCKET}?uploads").raise_for_status().text


def test_what_is_missing_is_not_found(storage: Storage, job_dir: Path) -> None:
    with pytest.raises(NotFound):
        storage.read(new_id(), 0, 1)
    with pytest.raises(NotFound):
        storage.open_local(new_id(), job_dir)

    assert list(job_dir.iterdir()) == []


def test_deleting_twice_is_fine(storage: Storage) -> None:
    file_id = new_id()
    storage.put(file_id, [b"x"])

    storage.delete(file_id)
    storage.delete(file_id)

    with pytest.raises(NotFound):
        storage.read(file_id, 0, 1)


def test_a_local_copy_outlives_the_file(storage: Storage, job_dir: Path) -> None:
    file_id = new_id()
    storage.put(file_id, [b"kept"])
    local = storage.open_local(file_id, job_dir)
    assert storage.open_local(file_id, job_dir) == local

    storage.delete(file_id)

    assert local.read_bytes() == b"kept"
    assert list(job_dir.iterdir()) == [local]


def test_lists_what_is_stored(storage: Storage) -> None:
    ids = {new_id() for _ in range(60)}  # more than one page of obstore's
    for file_id in ids:
        storage.put(file_id, [b"x"])

    listed = list(storage.objects())

    assert {item.file_id for item in listed} == ids
    assert all(abs(datetime.now(UTC) - item.modified_at) < timedelta(minutes=1) for item in listed)


def test_other_things_beside_the_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "notes.txt").write_text("not ours")

    assert list(directory_storage(tmp_path).objects()) == []


def test_a_stored_file_is_private_and_not_to_be_written(tmp_path: Path, job_dir: Path) -> None:
    file_id = new_id()
    storage = directory_storage(tmp_path / "store")
    storage.put(file_id, [b"x"])

    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert storage.open_local(file_id, job_dir).stat().st_mode & 0o777 == 0o400


def test_a_file_on_another_disk_is_copied(tmp_path: Path, job_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(
        (path for path in (Path("/dev/shm"), Path("/tmp")) if path.stat().st_dev != tmp_path.stat().st_dev), None
    )
    if other is None:
        pytest.skip("there is one disk only")
    file_id = new_id()
    storage = directory_storage(tmp_path / "store")
    storage.put(file_id, blocks(BIG))
    local = other / str(file_id)
    try:
        assert storage.open_local(file_id, other) == local
        storage.delete(file_id)
        assert local.read_bytes() == BIG
    finally:
        local.unlink(missing_ok=True)


@contextmanager
def little_room(count: int) -> Iterator[None]:
    """Let no file grow over ``count`` bytes: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    file_id = new_id()
    storage = directory_storage(tmp_path)

    with little_room(MIB), pytest.raises(StorageFull, match="full"):
        storage.put(file_id, blocks(BIG))

    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_of_a_worker_is_named_and_nothing_is_left(s3: str, job_dir: Path) -> None:
    file_id = new_id()
    storage = bucket_storage(str(file_id))
    storage.put(file_id, blocks(BIG))

    with little_room(MIB), pytest.raises(StorageFull, match=str(job_dir)):
        storage.open_local(file_id, job_dir)

    assert list(job_dir.iterdir()) == []


KILLED = """
import sys
from callboard.db.settings import Settings
from callboard.db.files.storage import open_storage
from uuid import UUID

def blocks():
    yield b"x" * 2**20
    print("half", flush=True)
    sys.stdin.read()

open_storage(Settings(files_url=sys.argv[1])).put(UUID(sys.argv[2]), blocks())
"""


def test_a_killed_upload_is_never_seen_and_can_be_removed(tmp_path: Path) -> None:
    file_id = new_id()
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path.as_uri(), str(file_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL

    storage = directory_storage(tmp_path)
    with pytest.raises(NotFound):
        storage.read(file_id, 0, 1)
    assert [item.file_id for item in storage.objects()] == [file_id]
    storage.delete(file_id)
    assert list(tmp_path.iterdir()) == []


def all_calls(storage: Storage, into: Path) -> list[Callable[[], object]]:
    return [
        lambda: storage.put(new_id(), [b"x"]),
        lambda: storage.read(new_id(), 0, 1),
        lambda: storage.open_local(new_id(), into),
        lambda: list(storage.objects()),
    ]


def test_a_vanished_directory_is_unavailable(tmp_path: Path, job_dir: Path) -> None:
    storage = directory_storage(tmp_path / "store")
    (tmp_path / "store").rmdir()

    for call in all_calls(storage, job_dir):
        with pytest.raises(Unavailable, match="No such file or directory"):
            call()


def test_a_missing_bucket_is_unavailable(s3: str, job_dir: Path) -> None:
    storage = BucketStorage("no-such-bucket", "", max_bytes=LIMIT, connect_timeout=1)

    for call in all_calls(storage, job_dir):
        with pytest.raises(Unavailable, match="'no-such-bucket' for uploaded files does not exist"):
            call()


def test_a_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with private_s3() as endpoint:
        use_s3(endpoint, monkeypatch)
        storage = bucket_storage("p")
        storage.put(new_id(), [b"x"])

    with pytest.raises(Unavailable, match="error sending request") as caught:
        storage.put(new_id(), [b"x"])
    assert "the-key-id" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        "file:///nonsense\0",
        "file://elsewhere/files",
        "files",
        "",
        "s3://",
        "s3:///prefix",
        "gs://bucket",
        "file:relative",
        "http://[",
        "file:///%ff",
    ],
)
def test_a_bad_url_is_refused(make: str) -> None:
    with pytest.raises(ConfigurationError, match="CALLBOARD_FILES_URL"):
        open_storage(Settings(files_url=make))


@pytest.mark.parametrize("url", ["s3://key:hunter2@bucket", "s3://bucket/p?secret=hunter2", "file:///p#hunter2"])
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY") as caught:
        open_storage(Settings(files_url=url))
    assert "hunter2" not in str(caught.value)


def test_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match=r"cannot be kept in .*/file/store: Not a directory"):
        directory_storage(tmp_path / "file" / "store")


def test_a_bad_aws_variable_is_refused(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CHECKSUM_ALGORITHM", "crc1")

    with pytest.raises(ConfigurationError, match="AWS_"):
        bucket_storage("p")


def test_without_a_url_files_are_in_the_data_directory(tmp_path: Path) -> None:
    open_storage(Settings(data_dir=tmp_path)).put(file_id := new_id(), [b"x"])

    assert (tmp_path / "files" / str(file_id)).read_bytes() == b"x"


@given(st.lists(st.binary(max_size=50), max_size=10), st.data())
def test_blocks_of_any_size_are_one_file(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(pieces)
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    storage = directory_storage(tmp_path_factory.getbasetemp() / "any")
    file_id = new_id()

    assert storage.put(file_id, pieces).sha256 == hashlib.sha256(content).digest()
    assert b"".join(storage.read(file_id, start, stop)) == content[start:stop]
