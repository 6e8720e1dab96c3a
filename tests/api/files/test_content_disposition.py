from __future__ import annotations

import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callboard.api.files.content_disposition import content_disposition
from callboard.db.rules.filenames import safe_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("report.csv", "report.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\Quarter 3.xlsx", "Quarter 3.xlsx"),
        ("/", "file"),
        ("a/..", "file"),
        ("...", "file"),
        ("  ", "file"),
        ("\x00\n", "file"),
        ("a\r\nSet-Cookie: b=c", "aSet-Cookie: b=c"),
        ("gnp\u202egpj.exe", "gnpgpj.exe"),
        ("U\u0308bersicht.csv", "Übersicht.csv"),
        ("\ud800x", "x"),
        (".gitignore", ".gitignore"),
        ("x" * 300 + ".csv", "x" * 251 + ".csv"),
        ("é" * 200, "é" * 127),
        ("a." + "x" * 300, "a." + "x" * 253),
    ],
)
def test_a_name_is_only_a_name(given_name: str, kept: str) -> None:
    assert safe_name(given_name) == kept


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("report.csv", 'attachment; filename="report.csv"'),
        ("Quarter 3 (final).csv", 'attachment; filename="Quarter 3 (final).csv"'),
        ('say "hi".txt', "attachment; filename=\"say _hi_.txt\"; filename*=UTF-8''say%20%22hi%22.txt"),
        ("100%.csv", "attachment; filename=\"100_.csv\"; filename*=UTF-8''100%25.csv"),
        ("€.csv", "attachment; filename=\"_.csv\"; filename*=UTF-8''%E2%82%AC.csv"),
        ("a;b'c.csv", "attachment; filename=\"a_b_c.csv\"; filename*=UTF-8''a%3Bb%27c.csv"),
    ],
)
def test_a_name_in_a_header(name: str, header: str) -> None:
    assert content_disposition(name) == header


@given(st.text())
def test_any_name_becomes_safe(text: str) -> None:
    name = safe_name(text)

    assert 1 <= len(name.encode()) <= 255
    assert name not in {".", ".."}
    assert not set(name) & set("/\\\0\r\n")
    assert all(unicodedata.category(char)[0] != "C" for char in name)
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    plain, _, encoded = header.partition("filename*=UTF-8''")
    assert (unquote(encoded) if encoded else plain.split('"')[1]) == name
