"""Fetching a file whole or not at all: resumed after a cut, checked, renamed into place. Standard library only.

Bytes go to a hidden name beside the target, `.NAME.part`, which is locked while a process writes it. The
target's own name appears by a rename after the length and the checksum are right, so a process killed at any
moment leaves a `.part` file, which the next one takes up, and nothing that looks whole.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

from imaetool.data.progress import report
from imaetool.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["DownloadError", "checksum_of", "fetch", "is_offline", "wrong_checksum"]

_BLOCK = 1 << 18
_AGENT = {"User-Agent": "imaetool", "Accept-Encoding": "identity"}


class DownloadError(UserError):
    """A file could not be fetched; one line that says why and what to do."""


class _Failed(Exception):
    """One address did not give the file; ``again`` if asking it once more may help."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


def is_offline() -> bool:
    """Whether the environment asks for no network: IMAETOOL_OFFLINE or HF_HUB_OFFLINE."""
    return any(os.environ.get(name, "0").lower() not in ("", "0", "false") for name in ("IMAETOOL_OFFLINE", "HF_HUB_OFFLINE"))


def checksum_of(path: Path, kind: str) -> str:
    """The file's sha256 or md5, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def wrong_checksum(path: Path, sha256: str = "", md5: str = "") -> str:
    """Why the file is not the one expected; "" if it is, or if no checksum is known."""
    for kind, wanted in (("sha256", sha256), ("md5", md5)):
        if wanted:
            found = checksum_of(path, kind)
            return "" if found == wanted else f"its {kind} is {found}, not {wanted}"
    return ""


def fetch(
    urls: str | Sequence[str], path: str | os.PathLike, *,
    sha256: str = "", md5: str = "", size: int = 0, timeout: float = 30.0, attempts: int = 5,
) -> Path:
    """Fetch a file from the first of ``urls`` that has it, to ``path``; a file already there is left as it is.

    A cut download goes on where it stopped. Processes that fetch the same file wait for the first one.
    Raises DownloadError, which names the file and where to put it, when no address gives the right bytes.
    """
    urls, path = ([urls] if isinstance(urls, str) else list(urls)), Path(path)
    if path.exists():
        return path
    by_hand = f"put {path.name} at {path} (it is at {urls[0]})" if urls else f"put {path.name} at {path}"
    if is_offline():
        raise DownloadError(f"{path.name} is not here, and the environment says offline: {by_hand}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_name(f".{path.name}.part"), path) as part:
            if part is None:  # another process was first
                return path
            reason = _from_any(urls, part, path, sha256, md5, size, timeout, attempts)
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or str(error)).lower()
        raise DownloadError(f"cannot write {path}: {what}; make room or name another folder, and run it again") from error
    if reason:
        raise DownloadError(f"cannot fetch {path.name}: {reason}; {by_hand}")
    return path


@contextmanager
def _locked(part: Path, path: Path):
    """The locked part file, or None where ``path`` has appeared meanwhile."""
    if fcntl is None:
        part = part.with_name(f"{part.name}-{os.getpid()}")  # no locks, no sharing, and no resume
        with open(part, "ab"):
            pass
        yield part
        return
    while True:
        with open(part, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report(f"waiting for another process that fetches {path.name}", 0)
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:
                pass  # a file system without locks
            if path.exists():
                if _same(file, part):
                    part.unlink(missing_ok=True)
                yield None
                return
            if _same(file, part):  # else it was renamed or removed while we waited
                yield part
                return


def _same(file, part: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(part))
    except FileNotFoundError:
        return False


def _from_any(urls, part: Path, path: Path, sha256, md5, size, timeout, attempts) -> str:
    """Fetch to ``part`` and rename it to ``path``; "" or why it could not be done."""
    reasons = []
    for url in urls:
        for attempt in range(attempts):
            try:
                _from_one(url, part, path.name, size, bool(sha256 or md5), timeout)
                if wrong := wrong_checksum(part, sha256, md5):
                    _empty(part)
                    raise _Failed(f"{url} gave another file ({wrong}), which was removed")
            except _Failed as failure:
                reasons.append(str(failure))
                if not failure.again:
                    break
                time.sleep(min(0.2 * 2**attempt, 5.0))
                continue
            with open(part, "rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            _note(part).unlink(missing_ok=True)
            return ""
    return "; ".join(dict.fromkeys(reasons)) or "no address is known"


def _from_one(url: str, part: Path, name: str, size: int, checked: bool, timeout: float) -> None:
    """Bring ``part`` to its full length from one address."""
    if not url.startswith(("http://", "https://")):
        raise _Failed(f"{url} is not fetched: only http and https are")
    have, tag = part.stat().st_size, _tag(part, url)
    if have and not checked and not tag:
        have = 0  # nothing would tell whether the two halves belong together
    headers = dict(_AGENT)
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag:
            headers["If-Range"] = tag
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as answer:
            if answer.status != 206:
                have = 0
            total = _total(answer, have)
            if size and total and total != size:
                raise _Failed(f"{url} has {total:,} bytes, not {size:,}")
            _write_note(part, url, answer.headers.get("ETag", ""))
            _copy(answer, part, have, name, total or size)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # the part is as long as the file, or longer
            if size and have == size:
                return
            _empty(part)
            raise _Failed(f"{url} cannot be resumed", again=True) from None
        raise _Failed(f"{url} answers {error.code} {error.reason}", again=error.code in (429, 500, 502, 503, 504)) from None
    except (urllib.error.URLError, http.client.HTTPException, socket.timeout, ConnectionError, ValueError) as error:
        raise _Failed(*_network(url, error)) from None


def _network(url: str, error: Exception) -> tuple[str, bool]:
    """(why an address cannot be reached, whether to try again)."""
    reason = getattr(error, "reason", error)
    host = url.split("/")[2] if url.count("/") > 1 else url
    if isinstance(reason, socket.gaierror):
        return f"no network, or no such host: {host}", False
    if isinstance(reason, (socket.timeout, TimeoutError)):
        return f"{host} did not answer in time", True
    text = " ".join(str(reason).split()) or type(reason).__name__
    again = isinstance(reason, (http.client.HTTPException, ConnectionResetError, BrokenPipeError))
    return f"{host}: {text}", again


def _total(answer, have: int) -> int:
    """The file's full length that the answer announces; 0 if it does not."""
    if answer.status == 206:
        start, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        if not start.startswith(f"{have}-"):
            raise _Failed(f"{answer.url} answered with another range than was asked for")
        rest = int(answer.headers.get("Content-Length") or 0)
        return int(total) if total.isdigit() else have + rest if rest else 0
    return int(answer.headers.get("Content-Length") or 0)


def _copy(answer, part: Path, have: int, name: str, total: int) -> None:
    with open(part, "r+b") as file:
        file.seek(have)
        file.truncate()
        done = have
        while block := answer.read(_BLOCK):
            file.write(block)
            done += len(block)
            if total and done > total:
                break
            report(f"fetching {name}", done, total)
    if total and done != total:
        if done > total:
            _empty(part)
        raise _Failed(f"{answer.url} was cut at {done:,} of {total:,} bytes", again=True)


def _empty(part: Path) -> None:
    with open(part, "wb"):
        pass


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_note(part: Path, url: str, tag: str) -> None:
    """Remember of which version of which address the part is."""
    tag = "" if tag.startswith("W/") else tag  # a weak tag does not promise the same bytes
    _note(part).write_text(json.dumps({"url": url, "etag": tag}))


def _tag(part: Path, url: str) -> str:
    try:
        note = json.loads(_note(part).read_text())
        return str(note["etag"]) if note["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
