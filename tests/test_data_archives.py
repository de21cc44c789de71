"""Hostile archives: nothing leaves the folder, nothing is a link, nothing is endless."""

import gzip
import io
import os
import stat
import tarfile
import zipfile

import pytest

from imaetool.data import archives
from imaetool.data.archives import ArchiveError, extract, gunzip, read_members


def tar_of(path, *members, mode="w"):
    """Members: (name, content) or a ready TarInfo."""
    with tarfile.open(path, mode) as out:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                out.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                out.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            out.writestr(name, content)
    return path


def info(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def refused(path, tmp_path, match, **limits):
    for attempt in (lambda: extract(path, tmp_path / "out", **limits), lambda: list(read_members(path, **limits))):
        with pytest.raises(ArchiveError, match=match) as error:
            attempt()
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("make, suffix, mode", [
    (zip_of, ".zip", None), (tar_of, ".tar", "w"), (tar_of, ".tar.gz", "w:gz"), (tar_of, ".tgz", "w:gz"),
    (tar_of, ".tar.bz2", "w:bz2"), (tar_of, ".tar.xz", "w:xz"),
])  # fmt: skip
def test_plain_files_come_out(tmp_path, make, suffix, mode):
    members = ("./a.txt", b"one"), ("b/c.bin", bytes(100_000)), ("b/d.txt", b"")
    path = make(tmp_path / f"x{suffix}", *members, **({"mode": mode} if mode else {}))
    assert archives.is_archive(path)
    assert extract(path, tmp_path / "deep" / "out") == 3
    assert (tmp_path / "deep/out/a.txt").read_bytes() == b"one" and (tmp_path / "deep/out/b/c.bin").stat().st_size == 100_000
    assert os.listdir(tmp_path / "deep") == ["out"]
    assert extract(path, tmp_path / "few", wanted=lambda name: name.endswith(".txt")) == 2
    assert [content for _, content in read_members(path)] == [content for _, content in members]


NAMES = ["../evil", "a/../../evil", "/evil", "a\\..\\evil", "C:/evil", "..", "b/.."]


@pytest.mark.parametrize("name", NAMES)
def test_no_path_leaves_the_folder(tmp_path, name):
    (tmp_path / "inner").mkdir()
    refused(tar_of(tmp_path / "x.tar", ("ok", b"1"), (name, b"bad")), tmp_path / "inner", "leaves the folder")
    refused(zip_of(tmp_path / "x.zip", ("ok", b"1"), (name, b"bad")), tmp_path / "inner", "leaves the folder")
    assert sorted(os.listdir(tmp_path)) == ["inner", "x.tar", "x.zip"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_no_links_and_no_devices_in_a_tar(tmp_path, kind):
    refused(tar_of(tmp_path / "x.tar", info("way", kind, "/etc"), ("way/passwd", b"bad")), tmp_path, "link, a device")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [2 << 20, -512])
def test_no_endless_header_in_a_tar(tmp_path, kind, size):
    member = info("././@LongLink", kind)
    member.size = size
    path = tmp_path / "long.tar"
    path.write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(2 << 20) + bytes(1024))
    refused(path, tmp_path, "a header of")


def test_a_negative_size_is_refused(tmp_path):
    member = info("x.png", tarfile.REGTYPE)
    member.size = -512
    (tmp_path / "back.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path / "back.tar", tmp_path, "a header of -512 bytes")


def test_long_names_still_come_out(tmp_path):
    name = "folder/" * 40 + "x.png"
    path = tar_of(tmp_path / "deep.tar", (name, b"abc"))
    assert list(read_members(path)) == [(name, b"abc")]


def test_large_pictures_are_handed_over_few_at_a_time():
    from imaetool.data.decoding import _CHUNK_BYTES, _chunks

    small, large = [(str(i), b"x") for i in range(70)], [(str(i), bytes(_CHUNK_BYTES // 2 + 1)) for i in range(4)]
    assert [len(chunk) for chunk, _ in _chunks(small)] == [32, 32, 6]
    assert [(len(chunk), size) for chunk, size in _chunks(large)] == [(2, _CHUNK_BYTES + 2)] * 2


def test_no_links_in_a_zip(tmp_path):
    link = zipfile.ZipInfo("way")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zip_of(tmp_path / "x.zip", (link, "/etc")), tmp_path, "link or a device")


def test_limits_count_what_comes_out(tmp_path):
    bomb = zip_of(tmp_path / "x.zip", ("a", bytes(3_000_000)), ("b", bytes(3_000_000)))
    assert bomb.stat().st_size < 10_000
    refused(bomb, tmp_path, "'a' takes more than the 1,000,000 bytes", max_file=1_000_000)
    refused(bomb, tmp_path, "'b' takes more than the 1,000,000 bytes", max_total=4_000_000)
    refused(bomb, tmp_path, "more than 1 files", max_files=1)
    refused(tar_of(tmp_path / "x.tgz", ("a", bytes(3_000_000)), mode="w:gz"), tmp_path, "takes more", max_total=4_000)


def test_a_name_twice_is_refused(tmp_path):
    for members in ([("a", b"1"), ("a", b"2")], [("a", b"1"), ("a/b", b"2")], [("a/b", b"1"), ("a", b"2")]):
        with pytest.raises(ArchiveError, match="twice"):
            extract(tar_of(tmp_path / "x.tar", *members), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_damage_is_one_line(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    for content in (b"", b"<html>404</html>", bytes(600)):
        path.write_bytes(content)
        if content != bytes(600) or suffix == ".zip":  # an empty tar is nothing but zeros
            refused(path, tmp_path, "damaged|cannot be read")
    whole = (zip_of if suffix == ".zip" else tar_of)(path, ("a", os.urandom(200_000))).read_bytes()
    path.write_bytes(gzip.compress(whole)[:-5000] if suffix == ".tar.gz" else whole[:-100_000])
    refused(path, tmp_path, "damaged")


def test_gunzip(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(10_000)))
    gunzip(tmp_path / "a.gz", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == bytes(10_000)
    with pytest.raises(ArchiveError, match="unpacks to more"):
        gunzip(tmp_path / "a.gz", tmp_path / "b", max_bytes=100)
    (tmp_path / "a.gz").write_bytes(gzip.compress(os.urandom(10_000))[:-50])
    with pytest.raises(ArchiveError, match="damaged"):
        gunzip(tmp_path / "a.gz", tmp_path / "b")
    assert sorted(os.listdir(tmp_path)) == ["a", "a.gz"]
