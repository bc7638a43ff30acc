import gzip
import re
import zlib
from pathlib import Path

import pytest

from attend.data.checksum import check_unchanged, checksum, checksums
from attend.data.files import DataError


def test_a_files_checksum_is_its_crc(tmp_path: Path) -> None:
    content = b"a line\n" * 1_000_000
    (tmp_path / "file").write_bytes(content)
    assert checksum(str(tmp_path / "file")) == f"{zlib.crc32(content):08x}"


def test_links_that_lead_nowhere_or_back_have_a_checksum(tmp_path: Path) -> None:
    photographs, others = tmp_path / "photographs", tmp_path / "others"
    photographs.mkdir()
    others.mkdir()
    (others / "1.png").write_bytes(b"12")
    before = checksum(str(photographs))
    for name, target in (("gone.png", "nowhere"), ("gone.csv", "nowhere"), ("round.png", "round.png"), ("up", "..")):
        (photographs / name).symlink_to(target)
        after = checksum(str(photographs))
        assert after != before
        before = after
    # What a link leads to is learnt from as well.
    (photographs / "cats").symlink_to(others)
    known = checksums([str(photographs)])
    (others / "1.png").write_bytes(b"123")
    with pytest.raises(DataError, match="has changed"):
        check_unchanged(known, known)


def test_what_changed_is_named(tmp_path: Path) -> None:
    text, photographs = tmp_path / "text.gz", tmp_path / "photographs"
    (photographs / "cats").mkdir(parents=True)
    (photographs / "cats" / "1.png").write_bytes(b"12")
    (photographs / "metadata.csv").write_text("file_name,label\ncats/1.png,cat\n")
    text.write_bytes(gzip.compress(b"one\n"))
    known = checksums([str(text), str(photographs), str(text)])
    assert list(known) == [str(text), str(photographs)]
    check_unchanged(known, known)

    def refuses(path: Path) -> None:
        with pytest.raises(DataError, match=f"{re.escape(str(path))}: has changed since this run began"):
            check_unchanged(known, known)

    (photographs / "metadata.csv").write_text("file_name,label\ncats/1.png,dog\n")
    refuses(photographs)
    (photographs / "metadata.csv").write_text("file_name,label\ncats/1.png,cat\n")
    check_unchanged(known, known)
    (photographs / "cats" / "1.png").rename(photographs / "2.png")
    refuses(photographs)
    text.write_bytes(gzip.compress(b"two\n"))
    refuses(text)
    text.unlink()
    with pytest.raises(DataError, match="there is no file"):
        check_unchanged(known, known)


def test_data_that_moved_are_the_same_by_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("2")
    known = checksums([str(one), str(two)])
    (tmp_path / "new").mkdir()
    moved = [str(path.rename(tmp_path / "new" / path.name)) for path in (one, two)]
    assert check_unchanged(known, moved) == dict(zip(moved, known.values(), strict=True))
    with pytest.raises(DataError, match=f"{moved[1]}: is not what this run learns from .*{one}"):
        check_unchanged(known, [moved[1], moved[0]])
    with pytest.raises(DataError, match=f"{two}: is not named any more"):
        check_unchanged(known, moved[:1])
    (tmp_path / "new" / "three").write_text("3")
    with pytest.raises(DataError, match="three: is not what this run learns from"):
        check_unchanged(known, [*moved, str(tmp_path / "new" / "three")])
