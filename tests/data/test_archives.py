"""Archives are read in place, by threads, and refused where they are not what they seem."""

import io
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fcnn.data import archives
from fcnn.data.archives import Folder, Tar, Zip, files

NUMBERS = np.random.default_rng(0)
CONTENT = {f"{label}/{n}.png": NUMBERS.bytes(3000) for label in "ab" for n in range(9)}


def write_zip(path, content=CONTENT, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, raw in content.items():
            archive.writestr(name, raw)
    return path


def write_tar(path, content=CONTENT, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, raw in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def write_folder(path):
    for name, raw in CONTENT.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


MAKERS = {
    "a": write_folder,
    "a.zip": write_zip,
    "stored.ZIP": lambda path: write_zip(path, method=zipfile.ZIP_STORED),
    "a.tar": write_tar,
    "a.tar.gz": lambda path: write_tar(path, mode="w:gz"),
    "a.tbz2": lambda path: write_tar(path, mode="w:bz2"),
    "a.txz": lambda path: write_tar(path, mode="w:xz"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_source_gives_the_same_files_to_many_threads(tmp_path, name):
    source = files(MAKERS[name](tmp_path / name), (".png",))
    assert source.names == sorted(CONTENT)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(source.read, source.names * 20))
    assert found == [CONTENT[name] for name in source.names] * 20
    assert source.stamp("a/1.png") == source.stamp("a/1.png")


@pytest.mark.parametrize("name", MAKERS)
def test_hidden_files_are_left_out(tmp_path, name):
    path = MAKERS[name](tmp_path / name)
    if path.is_dir():
        (path / ".x.png").write_bytes(b"x")
    elif name.lower().endswith("zip"):
        write_zip(path, {"__MACOSX/._x.png": b"x", "a/.git/x.png": b"y", "./a/b.png": b"z"})
    else:
        mode = {"a.tar": "w", "a.tar.gz": "w:gz", "a.tbz2": "w:bz2", "a.txz": "w:xz"}[name]
        write_tar(path, {"./._x.png": b"x", "./a/b.png": b"z"}, mode)
    expected = sorted(CONTENT) if path.is_dir() else ["a/b.png"]
    assert files(path, (".png",)).names == expected


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "a/../../x.png", "C:/x.png"])
def test_names_that_lead_out_are_refused(tmp_path, name):
    for make, ending in ((write_zip, "a.zip"), (write_tar, "a.tar")):
        with pytest.raises(ValueError, match="leads out of the archive"):
            files(make(tmp_path / ending, {name: b"x"}), (".png",))


def test_links_are_refused(tmp_path):
    member = zipfile.ZipInfo("a/x.png")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(ValueError, match=r"a\.zip: a/x\.png is a link"):
        Zip(tmp_path / "a.zip")
    for kind, words in (
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.FIFOTYPE, ""),
    ):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            member = tarfile.TarInfo("a/x.png")
            member.type, member.linkname = kind, "b"
            archive.addfile(member)
        with pytest.raises(ValueError, match=f"a/x.png is {'a ' + words if words else 'no plain'}"):
            Tar(tmp_path / "a.tar", (".png",))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/x.png", b"1")
        archive.writestr("a/x.png", b"2")
    with pytest.raises(ValueError, match=r"two files called a/x\.png"):
        Zip(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.txz"])
def test_no_archive_is_an_error_that_names_it(tmp_path, name):
    whole = MAKERS.get(name)(tmp_path / name).read_bytes()
    for raw in (b"", b"no archive" * 99, whole[: len(whole) // 2], whole[: len(whole) // 3]):
        (tmp_path / name).write_bytes(raw)
        try:
            source = files(tmp_path / name, (".png",))
            contents = [source.read(member) for member in source.names]
        except ValueError:
            continue
        assert contents == [CONTENT[member] for member in source.names]
        assert raw not in (b"", b"no archive" * 99)


def test_every_damaged_byte_of_a_zip_is_an_error_or_harmless(tmp_path):
    content = {"a/1.png": b"one" * 20, "b/2.png": b"two" * 20}
    whole = write_zip(tmp_path / "a.zip", content).read_bytes()
    refused = 0
    for at in range(len(whole)):
        (tmp_path / "b.zip").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            source = Zip(tmp_path / "b.zip")
            found = [source.read(name) for name in source.names]
        except ValueError:
            refused += 1
        else:
            assert set(found) <= set(content.values())
    assert refused > len(whole) // 4


def test_sizes_that_are_only_claimed_take_no_memory(tmp_path, monkeypatch):
    path = write_zip(tmp_path / "a.zip", {"a/1.png": bytes(10**6)})
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\1\2") + 24
    raw[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="checksum"):
        Zip(path).read("a/1.png")
    monkeypatch.setattr(archives, "LARGEST_FILE", 1000)
    with pytest.raises(ValueError, match="3,000 bytes are more than 1,000"):
        Zip(write_zip(path)).read("a/1.png")
    monkeypatch.setattr(archives, "UNPACKED", 1000)
    with pytest.raises(ValueError, match=r"a\.tgz: compressed, and more than 1,000 bytes"):
        Tar(write_tar(tmp_path / "a.tgz", mode="w:gz"), (".png",))


def test_what_is_no_source_is_refused(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"neither a folder nor an archive \(\.zip"):
        files(tmp_path / "a.rar", (".png",))
    with pytest.raises(FileNotFoundError, match="none does not exist"):
        files(tmp_path / "none", (".png",))
    with pytest.raises(ValueError, match="no such file"):
        Zip(write_zip(tmp_path / "a.zip")).read("c/1.png")
    assert isinstance(files(tmp_path, ()), Folder)
