"""Archives from elsewhere: what is unpacked, and what is refused before anything is."""

import stat
import zipfile

import pytest

from nwb_cascade.errors import ModelFileError
from nwb_cascade.models import unpack
from nwb_cascade.models.unpack import extract_flat


def anything(name):
    return True


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def packed(tmp_path, entries):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("prefix", ["", "model/", "a/b/"])
def test_wanted_files_land_in_one_flat_folder(tmp_path, into, prefix):
    path = packed(tmp_path, {f"{prefix}a.h5": b"1", f"{prefix}notes.txt": b"2"})
    files = extract_flat(path, into, wanted=lambda name: name.endswith(".h5"))
    assert files == [into / "a.h5"]
    assert (into / "a.h5").read_bytes() == b"1"
    assert list(into.iterdir()) == files


@pytest.mark.parametrize(
    "name", ["../evil.h5", "a/../../evil.h5", "/tmp/evil.h5", "C:\\evil.h5", "..\\evil.h5", "\\\\host\\share\\evil.h5"]
)
def test_entries_that_point_outside_are_refused(tmp_path, into, name):
    path = packed(tmp_path, {"good.h5": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"2")
    with pytest.raises(ModelFileError, match=r"points outside the archive.*nothing was unpacked"):
        extract_flat(path, into, wanted=anything)
    assert list(into.iterdir()) == []


def test_symbolic_links_are_refused(tmp_path, into):
    path = packed(tmp_path, {"good.h5": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.h5")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ModelFileError, match=r"symbolic link, 'link\.h5'"):
        extract_flat(path, into, wanted=anything)
    assert list(into.iterdir()) == []


def test_one_huge_file_is_refused(tmp_path, into, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ModelFileError, match=r"at most 1000 bytes a file, 'a\.h5' .* has 1001"):
        extract_flat(packed(tmp_path, {"a.h5": bytes(1001)}), into, wanted=anything)


def test_many_files_that_are_huge_together_are_refused(tmp_path, into, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_TOTAL_BYTES", 1000)
    entries = {f"{index}.h5": bytes(400) for index in range(3)}
    with pytest.raises(ModelFileError, match=r"at most 1000 bytes unpacked, .* has 1200"):
        extract_flat(packed(tmp_path, entries), into, wanted=anything)


def test_too_many_files_are_refused(tmp_path, into, monkeypatch):
    monkeypatch.setattr(unpack, "MAX_FILES", 2)
    with pytest.raises(ModelFileError, match=r"at most 2 files in an archive, .* has 3"):
        extract_flat(packed(tmp_path, dict.fromkeys("abc", b"1")), into, wanted=anything)


def test_a_bomb_that_lies_about_its_size_unpacks_no_more_than_it_states(tmp_path, into):
    path = packed(tmp_path, {"a.h5": bytes(10**6)})
    content = path.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="cannot be read"):
        extract_flat(path, into, wanted=anything)
    assert (into / "a.h5").stat().st_size <= 10


def test_encrypted_archives_are_refused(tmp_path, into):
    path = packed(tmp_path, {"a.h5": b"1"})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="is encrypted"):
        extract_flat(path, into, wanted=anything)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"<html>Not found</html>"])
def test_a_file_that_is_no_archive_is_named(tmp_path, into, content):
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"Expected a zip archive, .*a\.zip cannot be read"):
        extract_flat(path, into, wanted=anything)


def test_damaged_content_is_named(tmp_path, into):
    path = packed(tmp_path, {"a.h5": bytes(range(256)) * 10})
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="cannot be read"):
        extract_flat(path, into, wanted=anything)


def test_two_models_in_one_archive_are_refused(tmp_path, into):
    path = packed(tmp_path, {"a/config.yaml": b"1", "b/config.yaml": b"2"})
    with pytest.raises(ModelFileError, match=r"archive of one model, .* has files of several in a, b"):
        extract_flat(path, into, wanted=anything)


def test_what_macos_adds_is_ignored(tmp_path, into):
    path = packed(tmp_path, {"m/a.h5": b"1", "__MACOSX/m/._a.h5": b"2", "m/._a.h5": b"3"})
    assert extract_flat(path, into, wanted=anything) == [into / "a.h5"]
    assert (into / "a.h5").read_bytes() == b"1"
