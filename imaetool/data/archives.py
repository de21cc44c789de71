"""Unpacking archives that nobody vouches for. Standard library only.

Only plain files come out, each under the target folder. An archive is refused as a whole for a path that leaves
the folder, a link, a device, a name that occurs twice, or too many bytes or files, counted as they come out.
"""

from __future__ import annotations

import gzip
import lzma
import os
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from imaetool.data.progress import report
from imaetool.errors import UserError
from imaetool.files import writing

__all__ = ["ArchiveError", "SUFFIXES", "extract", "gunzip", "is_archive", "read_members"]

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILE, MAX_TOTAL, MAX_FILES = 8 << 30, 64 << 30, 5_000_000
MAX_MEMBER = 1 << 28  # bytes of one file that is read into memory
_BLOCK = 1 << 20


class ArchiveError(UserError):
    """An archive that is damaged, or that is refused; one line that says why."""


def is_archive(path: str | os.PathLike) -> bool:
    """Whether the name is that of an archive that ``extract`` opens."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def extract(
    archive: str | os.PathLike, target: str | os.PathLike, *, wanted: Callable[[str], bool] = lambda name: True,
    max_file: int = MAX_FILE, max_total: int = MAX_TOTAL, max_files: int = MAX_FILES,
) -> int:
    """Unpack the ``wanted`` files of a zip or tar archive into the new folder ``target``; how many there were.

    The folder appears whole or not at all. Raises ArchiveError for what is refused (see above) or damaged.
    """
    archive, target = Path(archive), Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f".{target.name[:40]}-{secrets.token_hex(8)}.tmp"
    unfinished.mkdir()
    budget, count = max_total, 0
    try:
        with _one_error(archive):
            for name, source in _members(archive, max_files):
                if not wanted(name):
                    continue
                budget -= _copy(source, unfinished / _safe(name, archive), archive, name, min(max_file, budget))
                count += 1
                report(f"unpacking {archive.name}", count)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return count


def read_members(
    archive: str | os.PathLike, *, wanted: Callable[[str], bool] = lambda name: True,
    max_file: int = MAX_MEMBER, max_total: int = MAX_TOTAL, max_files: int = MAX_FILES,
) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the ``wanted`` files, one after the other, nothing written; refuses what ``extract`` does."""
    archive = Path(archive)
    with _one_error(archive):
        for name, source in _members(archive, max_files):
            if wanted(name):
                limit = min(max_file, max_total)
                content = source.read(limit + 1)
                if len(content) > limit:
                    raise _too_big(archive, name, limit)
                max_total -= len(content)
                yield name, content


@contextmanager
def _one_error(archive: Path) -> Iterator[None]:
    """Whatever an archive's reader raises becomes ArchiveError."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, lzma.LZMAError,
            NotImplementedError, RuntimeError, UnicodeError) as error:  # fmt: skip
        raise ArchiveError(f"{archive} is damaged, or no archive: {' '.join(str(error).split()) or 'cut short'}") from error
    except OSError as error:
        if error.filename == str(archive) or error.errno is None:
            raise ArchiveError(f"{archive} cannot be read: {error.strerror or error}") from error
        raise


def _too_big(archive: Path, name: str, limit: int) -> ArchiveError:
    return ArchiveError(f"{archive} is refused: {name!r} takes more than the {limit:,} bytes allowed")


def _members(archive: Path, max_files: int) -> Iterator[tuple[str, IO[bytes]]]:
    """(name, open file) of each plain file, in the archive's order."""
    members = _zip_members(archive) if archive.suffix.lower() == ".zip" else _tar_members(archive)
    for number, (name, source) in enumerate(members, 1):
        if number > max_files:
            raise ArchiveError(f"{archive} is refused: more than {max_files:,} files")
        yield name, source


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            _safe(member.filename, archive)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveError(f"{archive} is refused: {member.filename!r} is a link or a device")
            if member.flag_bits & 1:
                raise ArchiveError(f"{archive} is refused: {member.filename!r} is encrypted")
            if not member.is_dir():
                with opened.open(member) as source:
                    yield member.filename, source


class _TarInfo(tarfile.TarInfo):
    """A tar member whose header is looked at before tarfile follows it: long names are read whole, sizes are trusted."""

    def _proc_member(self, opened: tarfile.TarFile) -> tarfile.TarInfo:
        extension = self.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.size < 0 or (extension and self.size > _BLOCK):
            raise ArchiveError(f"{opened.name} is refused: it has a header of {self.size:,} bytes")
        return super()._proc_member(opened)


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r:*", tarinfo=_TarInfo) as opened:
        while (member := opened.next()) is not None:
            opened.members = []  # else a long archive's list grows in memory
            _safe(member.name, archive)
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise ArchiveError(f"{archive} is refused: {member.name!r} is a link, a device or a sparse file")
            yield member.name, opened.extractfile(member)


def _safe(name: str, archive: Path) -> PurePosixPath:
    """The name as a path that stays under the target; ArchiveError if it does not."""
    path = PurePosixPath(name)
    wrong = not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name
    if name in (".", "./"):
        return PurePosixPath(".")
    if wrong or ":" in path.parts[0]:
        raise ArchiveError(f"{archive} is refused: the path {name!r} leaves the folder")
    return path


def _copy(source: IO[bytes], path: Path, archive: Path, name: str, limit: int) -> int:
    """Copy at most ``limit`` bytes to the new file ``path``; how many there were."""
    done = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArchiveError(f"{archive} is refused: {name!r} occurs twice") from error
    with file:
        while block := source.read(_BLOCK):
            done += len(block)
            if done > limit:
                raise _too_big(archive, name, limit)
            file.write(block)
    return done


def gunzip(packed: str | os.PathLike, path: str | os.PathLike, *, max_bytes: int = 1 << 30) -> None:
    """Unpack one .gz file to ``path``, which appears whole or not at all."""
    try:
        with gzip.open(packed) as source, writing(path) as file:
            done = 0
            while block := source.read(_BLOCK):
                done += len(block)
                if done > max_bytes:
                    raise ArchiveError(f"{packed} is refused: it unpacks to more than {max_bytes:,} bytes")
                file.write(block)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ArchiveError(f"{packed} is damaged: {error}") from error
