from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.files.multipart import FilePart, read_file_part
from callboard.db.errors import InvalidInput

TYPE = "multipart/form-data; boundary=B"
FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
END = b"\r\n--B--\r\n"


def read(chunks: Iterable[bytes], content_type: str = TYPE) -> tuple[FilePart, list[bytes]]:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def whole() -> tuple[FilePart, list[bytes]]:
        part = await read_file_part(content_type, body())
        return part, [block async for block in part.blocks]

    return asyncio.run(whole())


@given(
    st.binary() | st.lists(st.sampled_from([b"\r", b"\n", b"\r\n--", b"\r\n--B", b"-", b"x"])).map(b"".join), st.data()
)
def test_content_is_what_stands_between_the_boundaries(content: bytes, data: st.DataObject) -> None:
    content = content.replace(b"\r\n--B", b"")
    body = FILE + content + END
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))

    part, blocks = read(body[start:stop] for start, stop in zip([0, *cuts], [*cuts, None], strict=True))

    assert (part.name, part.media_type) == ("a.csv", "text/csv")
    assert b"".join(blocks) == content
    assert b"" not in blocks


def test_blocks_are_large_however_small_the_chunks() -> None:
    _, blocks = read([FILE, *[b"x" * 1000] * 5000, END])

    assert [len(block) for block in blocks[:-1]] == [1_049_000] * 4


@pytest.mark.parametrize(
    ("headers", "name", "media_type"),
    [
        (b'form-data; name="file"; filename="\xc3\x9cbersicht.csv"', "Übersicht.csv", "application/octet-stream"),
        (b'form-data; name="file"; filename="\xdcbersicht.csv"', "Übersicht.csv", "application/octet-stream"),
        (b'form-data; name="file"; filename="../../etc/passwd"', "passwd", "application/octet-stream"),
        (b'form-data; name="file"; filename="a \\"b\\".csv"', 'a "b".csv', "application/octet-stream"),
        (b"form-data; filename=plain.csv; name=file", "plain.csv", "application/octet-stream"),
        (
            b'form-data; name="file"; filename="a"\r\nCONTENT-TYPE: Text/CSV; charset=latin-1',
            "a",
            "text/csv; charset=latin-1",
        ),
        (b'form-data; name="file"; filename="a"\r\nContent-Type: nonsense', "a", "application/octet-stream"),
        (b'form-data; name="file"; filename="a"\r\nContent-Type: text/html; x="\xe9"', "a", "application/octet-stream"),
    ],
)
def test_name_and_media_type(headers: bytes, name: str, media_type: str) -> None:
    part, blocks = read([b"--B\r\nContent-Disposition: ", headers, b"\r\n\r\nx", END])

    assert (part.name, part.media_type, blocks) == (name, media_type, [b"x"])


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=B"],
)
def test_another_kind_of_body_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidInput, match="not multipart/form-data"):
        read([FILE, b"x", END], content_type)


TEXT = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\nx'


@pytest.mark.parametrize(
    ("body", "message", "pointer"),
    [
        (b"", "ends before", None),
        (b"--B--\r\n", "has no field", "/file"),
        (b"hello", "not valid multipart", None),
        (b"--C\r\n\r\nx\r\n--C--\r\n", "not valid multipart", None),
        (FILE, "ends before", None),
        (FILE + b"half", "ends before", None),
        (FILE + b"x\r\n--B", "ends before", None),
        (TEXT % b"file" + END, "no file name", "/file"),
        (b'--B\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n' + END, "no file name", "/file"),
        (TEXT % b"na/me" + END, "field 'na/me'", "/na~1me"),
        (b"--B\r\n\r\nx" + END, "field ''", "/"),
        (FILE + b"x\r\n" + TEXT % b"note" + END, "field 'note'", "/note"),
        (FILE + b"x\r\n" + FILE + b"y" + END, "two files", "/file"),
        (b"--B\r\n" + b"A: b\r\n" * 9 + b"\r\nx" + END, "not valid multipart", None),
        (b"--B\r\nA: " + b"b" * 10_000 + b"\r\n\r\nx" + END, "not valid multipart", None),
    ],
)
def test_a_body_that_is_not_one_file_is_refused(body: bytes, message: str, pointer: str | None) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        read([body])

    assert [error.pointer for error in caught.value.errors] == ([] if pointer is None else [pointer])


def test_a_boundary_of_any_length_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not valid multipart"):
        read([b"x"], f"multipart/form-data; boundary={'B' * 1000}")
