"""What is kept is found again only while nothing that it was made of has changed."""

from pathlib import Path

import pytest

from tasks.storage import cache


def double(number: int) -> int:
    return 2 * number


def triple(number: int) -> int:
    return 3 * number


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    files = {"b.bin": bytes(range(256)), "a.txt": b"", "figures/c.svg": b"<svg/>"}
    made: list[int] = []

    def make() -> cache.Files:
        made.append(1)
        return files

    path = tmp_path / "kept" / "x.zip"
    for _ in range(2):
        found = cache.kept(path, make, pytest.fail)
        assert found == files
        assert list(found) == list(files)
    assert len(made) == 1


def test_what_is_damaged_is_made_again_and_said(tmp_path: Path) -> None:
    path, said = tmp_path / "x.zip", []
    cache.kept(path, lambda: {"a": b"first"}, said.append)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert cache.kept(path, lambda: {"a": b"second"}, said.append) == {"a": b"second"}
    assert len(said) == 1
    assert "does not match its checksum" in said[0]
    assert cache.kept(path, lambda: {}, said.append) == {"a": b"second"}


def test_the_same_files_are_the_same_bytes() -> None:
    assert cache.packed({"a": b"1", "b": b"2"}) == cache.packed({"a": b"1", "b": b"2"})


def test_the_key_follows_all_that_a_result_is_made_of() -> None:
    keys = [
        cache.key([double], ["numpy"], trials=["x"]),
        cache.key([triple], ["numpy"], trials=["x"]),
        cache.key([double], ["pandas"], trials=["x"]),
        cache.key([double], ["numpy"], trials=["y"]),
    ]
    assert len(set(keys)) == 4
    assert cache.key([double], ["numpy"], trials=["x"]) == keys[0]
