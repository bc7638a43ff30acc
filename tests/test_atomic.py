import os
from pathlib import Path

import pytest

from attend.atomic import whole_file, write_atomically


def test_the_file_is_put_in_place_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(partial: Path) -> None:
        partial.write_text("n")
        raise OSError(28, os.strerror(28))

    with pytest.raises(ValueError, match="file: can't be written: No space left"):
        write_atomically(path, full)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_another_error_is_passed_on_and_leaves_nothing(tmp_path: Path) -> None:
    def wrong(partial: Path) -> None:
        raise KeyError("name")

    with pytest.raises(KeyError):
        write_atomically(tmp_path / "file", wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="other systems have no pipes with names")
def test_links_are_followed_and_pipes_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    write_atomically(tmp_path / "link", lambda partial: partial.write_text("new"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a folder, a device or a pipe"):
        write_atomically(tmp_path / "pipe", lambda partial: partial.write_text("new"))
    assert (tmp_path / "pipe").is_fifo()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    write_atomically(tmp_path / "new" / "file", lambda partial: partial.write_bytes(b"x"))
    assert (tmp_path / "new" / "file").read_bytes() == b"x"


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match="file/other: can't be written"):
        write_atomically(tmp_path / "file" / "other", lambda partial: partial.write_bytes(b""))


@pytest.mark.skipif(os.name != "posix", reason="other systems have no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_the_umask_says_who_may_read(tmp_path: Path, umask: int, mode: int) -> None:
    """Even where a library makes a file for its owner alone, and moves it into place itself."""

    def private(partial: Path) -> None:
        other = partial.with_name("other")
        other.touch(0o600)
        other.replace(partial)

    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "file", private)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_what_a_killed_write_left_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file.partial").write_text("half")
    write_atomically(tmp_path / "file", lambda partial: partial.open("a").close())
    assert (tmp_path / "file").read_text() == ""
