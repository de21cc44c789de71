"""Files of Hugging Face Hub repositories: from the Hub's cache or downloaded, checked, and every failure one line.

The work is the huggingface_hub client's: its cache, its progress bars, its retries. HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE,
HF_ENDPOINT and HF_TOKEN mean what they mean to it. IMAETOOL_OFFLINE asks for no network either.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imaetool.errors import UserError

__all__ = ["DEFAULT_FILE", "cached", "explain", "fetch", "split_name"]

DEFAULT_FILE = "model.safetensors"
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"(?P<repo>{_PART}/{_PART}(?:@[^:@\s]+)?)(?P<file>:.*)?", re.DOTALL)
_CUT = {
    "ReadError", "ReadTimeout", "WriteError", "WriteTimeout", "RemoteProtocolError", "ProtocolError", "ChunkedEncodingError",
    "ConnectionResetError", "BrokenPipeError", "IncompleteRead",
}  # fmt: skip
_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "ConnectionError", "ProxyError", "UnsupportedProtocol", "gaierror", "TimeoutException"}


def split_name(name: str) -> tuple[str, str] | None:
    """(repository, file) of a name on the Hub; None where the name has another form.

    OWNER/REPO stands for its model.safetensors, OWNER/REPO:FILE for another one. OWNER/REPO@REVISION, with or without
    :FILE, pins a commit, a tag or a branch: the revision stays with the repository, as fetch and cached take it.
    UserError where the file is not a .safetensors file inside the repository.

    >>> split_name("someone/faces")
    ('someone/faces', 'model.safetensors')
    >>> split_name("someone/faces@v2:small.safetensors")
    ('someone/faces@v2', 'small.safetensors')
    >>> split_name("runs/digits/model.safetensors")
    """
    match = _NAME.fullmatch(name)
    if match is None or (match["file"] is None and match["repo"].endswith(".safetensors")):
        return None
    file = DEFAULT_FILE if match["file"] is None else match["file"][1:]
    _parts(match["repo"], file)
    return match["repo"], file


def fetch(repo: str, file: str, *, revision: str = "", sha256: str = "", size: int = 0) -> Path:
    """The file of a repository in the Hub's cache, downloaded where it is not there.

    repo: OWNER/REPO, or OWNER/REPO@REVISION; ``revision``: a commit, a tag or a branch; "": the one in ``repo``, else main.
    Where a full commit hash or ``sha256`` is given and the file is in the cache, no network is used; otherwise the Hub
    is asked for the newest version, and the one in the cache is taken where the Hub cannot be reached.
    ``sha256`` and ``size`` are checked in either case. A file that is another one is removed from the cache, so that
    it is never loaded and the next call downloads it again.
    Raises UserError: one line that says what failed and what to do.
    """
    name, pinned = _parts(repo, file, revision)
    path = cached(repo, file, revision) if sha256 else None
    if path is not None and not _wrong(path, sha256, size):
        return path
    path = _download(name, file, pinned)
    if reason := _wrong(path, sha256, size):
        raise UserError(f"what came from the Hub as {file} of {name} is not the file expected: {reason}; {_discard(path)}")
    return path


def cached(repo: str, file: str, revision: str = "") -> Path | None:
    """The file in the Hub's cache, not checked, or None; never uses the network. The arguments are fetch's."""
    name, pinned = _parts(repo, file, revision)
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(name, file, revision=pinned)
    except (OSError, ValueError) as error:
        raise UserError(explain(error, name, file)) from error
    return Path(found) if isinstance(found, str) else None  # neither None nor the mark "known not to exist"


def _parts(repo: str, file: str, revision: str = "") -> tuple[str, str | None]:
    """(OWNER/REPO, revision or None), checked, with the file's name."""
    name, _, own = repo.partition("@")
    revision = revision or own
    parts = file.split("/")
    if not file.endswith(".safetensors") or file == ".safetensors":
        raise UserError(f"{file!r} of {name}: only .safetensors files are loaded from the Hub; give OWNER/REPO:FILE.safetensors")
    if set(parts) & {"", ".", ".."} or not file.isprintable() or "\\" in file:
        raise UserError(f"{file!r} of {name}: the file must lie inside the repository; give OWNER/REPO:FILE.safetensors")
    if not revision.isprintable() or "\\" in revision or set(revision.split("/")) & ({".", ".."} | ({""} if revision else set())):
        raise UserError(f"{name} has no revision {revision!r}: give a commit, a tag or a branch")
    return name, revision or None


def _download(name: str, file: str, revision: str | None) -> Path:
    from huggingface_hub import hf_hub_download

    from imaetool import __version__
    from imaetool.data.download import is_offline

    try:
        with _quiet():
            return Path(
                hf_hub_download(
                    name, file, revision=revision, local_files_only=is_offline(), library_name="imaetool", library_version=__version__
                )
            )
    except Exception as error:  # the client raises its own errors, its HTTP library's, the system's, and plain ones
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & (_CUT | _NO_CONNECTION) and (path := cached(name, file, revision or "")) is not None:
            return path  # the client looks there itself for most failures, but not for all
        raise UserError(explain(error, name, file, revision or "")) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the client logs of its tries, unless HF_HUB_VERBOSITY or HF_DEBUG asks for it; errors are raised.

    Where a terminal is watched one line stands there while the client tries again, and goes when it is done.
    """
    if any(os.environ.get(name) for name in ("HF_HUB_VERBOSITY", "HF_DEBUG")):
        yield
        return
    told: list[logging.LogRecord] = []
    live = sys.stderr.isatty()

    def kept(record: logging.LogRecord) -> bool:
        if record.levelno < logging.ERROR and not told and live:
            print("the Hub does not answer yet: trying again", end="", file=sys.stderr, flush=True)
            told.append(record)
        return record.levelno >= logging.ERROR

    handlers = list(logging.getLogger("huggingface_hub").handlers)
    for handler in handlers:
        handler.addFilter(kept)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(kept)
        if told:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _wrong(path: Path, sha256: str, size: int) -> str:
    """Why the file is not the one that has this checksum and this size; "" if it is."""
    from imaetool.data.download import wrong_checksum

    try:
        found = path.stat().st_size
        if size and found != size:
            return f"it has {found:,} bytes, not {size:,}"
        return wrong_checksum(path, sha256.lower())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _discard(path: Path) -> str:
    """Remove a file of the cache with all that its links lead to there; says what was done."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE).expanduser().resolve()
    chain = [path]
    while chain[-1].is_symlink() and len(chain) < 8:  # snapshot -> blob -> blob shared between repositories
        chain.append(chain[-1].parent / os.readlink(chain[-1]))
    try:
        for link in chain:
            if link.parent.resolve().is_relative_to(cache):
                link.unlink(missing_ok=True)
    except OSError as error:
        return f"it was not loaded, and cannot be removed ({error.strerror or error}): remove {path}"
    return "it was removed from the cache and not loaded; try again"


def explain(error: BaseException, repo: str, file: str = "", revision: str = "", *, writing: bool = False) -> str:
    """One line for what the client raised on ``file`` of ``repo``: what failed, and what to do about it.

    ``writing``: the repository was to be written, not read.
    """
    for part in _chain(error):
        if text := _reason(part, repo, file, revision, writing):
            return text
    return f"the Hub client failed on {_what(repo, file)}: {type(error).__name__}: {_line(error)}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__


def _line(error: object) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}..."


def _what(repo: str, file: str) -> str:
    return f"{file} of {repo}" if file else repo


def _reason(error: BaseException, repo: str, file: str, revision: str, writing: bool) -> str:
    """What this one exception says, or "" where the one that caused it says more."""
    from huggingface_hub import constants, errors

    what = _what(repo, file)
    copy = "publish it later" if writing else "give --model PATH of a copy"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"offline (HF_HUB_OFFLINE is set), and {what} is not in the Hub cache: unset it, or {copy}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        if error.__cause__ is not None:
            return ""
        return f"offline, as the environment says, and {what} is not in the Hub cache: unset IMAETOOL_OFFLINE and HF_HUB_OFFLINE, or {copy}"
    if isinstance(error, errors.GatedRepoError):
        return f"{repo} is gated: accept its terms at {constants.ENDPOINT}/{repo}, then run  hf auth login"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no revision {revision or 'main'!r}: give a commit, a tag or a branch of it"
    if isinstance(error, errors.EntryNotFoundError):
        at = f" at {revision}" if revision else ""
        return f"{repo} holds no {file}{at}: see {constants.ENDPOINT}/{repo}/tree/{revision or 'main'} and give OWNER/REPO:FILE"
    if isinstance(error, errors.HfHubHTTPError):
        return _refusal(error, repo, what, writing, copy)
    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is no name of a repository: give OWNER/REPO ({_line(error)})"
    if isinstance(error, errors.FileMetadataError):
        return f"{constants.ENDPOINT} does not answer as the Hub does: check HF_ENDPOINT and the proxy, or {copy}"
    return _trouble(error, what, copy, "" if writing else ", which is not in the Hub cache")


def _refusal(error, repo: str, what: str, writing: bool, copy: str) -> str:
    """What the Hub means by an HTTP error status."""
    from huggingface_hub import constants, errors

    status = error.response.status_code if error.response is not None else 0
    says = f" ({_line(error.server_message)})" if getattr(error, "server_message", None) else ""
    if status == 401 and "invalid credentials" in f"{says} {error}".lower():
        return f"the Hub does not accept your token: run  hf auth login  (or unset HF_TOKEN) and try {what} again"
    missing = isinstance(error, errors.RepositoryNotFoundError)
    if writing and (missing or status in (401, 403)):
        return f"the Hub refuses to write to {repo} (status {status}): run  hf auth login  with a token that may write to {repo}"
    if status == 401:
        return f"the Hub wants a login for {repo}: it is private, or there is none of that name; check the name, or run  hf auth login"
    if missing:
        return f"no repository {repo} at {constants.ENDPOINT}: check the name; if it is private, run  hf auth login"
    if status == 403:
        return f"the Hub refuses {what}{says}: run  hf auth login  with a token that may read {repo}"
    if status == 429:
        return f"the Hub has had too many requests from here: wait some minutes for {what}, or run  hf auth login"
    if status >= 500:
        return f"the Hub has trouble of its own (status {status}) with {what}: try again later, or {copy}"
    return f"the Hub answers {status} for {what}{says}: check the name, or {copy}"


def _trouble(error: BaseException, what: str, copy: str, absent: str) -> str:
    """A full disk, a folder that cannot be written, a cut or missing connection; "" where it is none of them."""
    import errno

    from huggingface_hub import constants

    names = {kind.__name__ for kind in type(error).__mro__}  # whichever HTTP library the client uses
    text = str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, getattr(errno, "EDQUOT", None)) or "No space left on device" in text:
        return f"the disk is full: no room in {constants.HF_HUB_CACHE} for {what}; make room, or set HF_HOME to a folder on another disk"
    if names & _CUT or text.startswith("Consistency check failed"):
        return f"the connection to {constants.ENDPOINT} broke before all of {what} was through: run it again, or {copy}"
    if names & _NO_CONNECTION:
        return f"no connection to {constants.ENDPOINT} for {what}{absent}: connect and run it again, or {copy}"
    if number is not None:
        path = getattr(error, "filename", None) or constants.HF_HUB_CACHE
        return f"cannot write {path}: {error.strerror}; set HF_HOME to a folder that can be written"  # type: ignore[attr-defined]
    return ""
