"""Models of the zoo to a repository on the Hub: checked first, then all files in one commit.

    README.md                      the model's card, or with several models one card for all
    <the row's file>.safetensors   the weights, under the name that the manifest has
    traversals.png                 with one model
    <name>/README.md               with several: each one's own card
    <name>/traversals.png          and its picture
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from imaetool.errors import UserError
from imaetool.zoo.card import check_card, collection_card, model_card
from imaetool.zoo.hub import explain
from imaetool.zoo.manifest import Model

__all__ = ["contents", "publish"]

_PNG = b"\x89PNG\r\n\x1a\n"
_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*")


def publish(
    models: Sequence[Model], repo: str, *, files: Mapping[str, Path], pictures: Mapping[str, bytes], dry_run: bool,
    say: Callable[[str], None],
) -> dict[str, Model]:
    """Publish ``models`` to the repository OWNER/NAME, made where it does not exist; the rows, with where they are now.

    files: name of a model -> its weights; pictures: name of a model -> a PNG of its traversals, or no entry.
    The rows that come back have ``repo`` and ``revision``, the hash of the commit. With ``dry_run`` everything is
    checked, nothing is sent and the rows come back as they were. ``say`` gets one line for each file.
    A later call replaces README.md, so all models of a repository are published together.
    Raises UserError, before anything is sent, where a file is not the one of its row or a card is not valid; and where
    the Hub refuses: the commit holds all files or there is none.
    """
    sent = contents(models, repo, files, pictures)
    for path, content in sent.items():
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        say(f"{'would send' if dry_run else 'sending'} {path} ({size:,} bytes) to {repo}")
    if dry_run:
        return {model.name: model for model in models}
    revision = _commit(repo, sent, f"Publish {', '.join(model.name for model in models)}")
    say(f"published {len(models)} {'model' if len(models) == 1 else 'models'} to {repo} at {revision}")
    return {model.name: replace(model, repo=repo, revision=revision) for model in models}


def contents(models: Sequence[Model], repo: str, files: Mapping[str, Path], pictures: Mapping[str, bytes]) -> dict[str, bytes | Path]:
    """What a repository of ``models`` holds, by path, all checked. The arguments and errors are publish's."""
    if not _REPO.fullmatch(repo):
        raise UserError(f"{repo!r} is no name of a repository on the Hub: give OWNER/NAME")
    names = [model.name for model in models]
    if not models or len(set(names)) < len(names) or len({model.file for model in models}) < len(models):
        raise UserError(f"nothing to publish in {names}: give one or more models, each with a name and a file of its own")
    if strange := sorted((files.keys() | pictures.keys()) - set(names)):
        raise UserError(f"a file or a picture of {strange[0]!r}, which is not among the models to publish: {', '.join(names)}")
    rows = [replace(model, repo=repo, revision="") for model in models]
    found: dict[str, bytes | Path] = {}
    for row in rows:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", row.name):
            raise UserError(f"{row.name!r} cannot be a folder of the repository: a name has letters, digits, '.', '_' and '-'")
        folder = f"{row.name}/" if len(rows) > 1 else ""
        picture = pictures.get(row.name, b"")
        if picture and not picture.startswith(_PNG):
            raise UserError(f"the picture of {row.name} is not a PNG: draw it again")
        found[row.file] = _weights(row, files)
        found[f"{folder}README.md"] = _checked(model_card(row, picture="traversals.png" if picture else ""))
        if picture:
            found[f"{folder}traversals.png"] = picture
    if len(rows) > 1:
        found["README.md"] = _checked(collection_card(rows))
    return dict(sorted(found.items()))


def _checked(card: str) -> bytes:
    check_card(card)
    return card.encode()


def _weights(row: Model, files: Mapping[str, Path]) -> Path:
    """The model's file, if it is the one of its row."""
    path = files.get(row.name)
    if row.status != "ready" or path is None:
        raise UserError(f"{row.name} has no weights to publish: its status is {row.status!r}, its file {path}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors", row.file):
        raise UserError(f"{row.name}: file {row.file!r} is not a bare name ending in .safetensors: correct it in the manifest")
    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise UserError(f"cannot read {path}, the weights of {row.name}: {error.strerror or error}") from error
    if (digest, size) != (row.sha256, row.size):
        raise UserError(
            f"{path} is not the file in the row of {row.name}: {size:,} bytes with sha256 {digest}, not {row.size:,} with {row.sha256}; "
            "nothing was sent; package the model again"
        )
    return path


def _commit(repo: str, sent: Mapping[str, bytes | Path], message: str) -> str:
    """Send everything in one commit; its hash."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from imaetool import __version__
    from imaetool.data.download import is_offline

    if is_offline():
        raise UserError(f"the environment says offline, so nothing was sent to {repo}: unset IMAETOOL_OFFLINE and HF_HUB_OFFLINE")
    try:
        api = HfApi(library_name="imaetool", library_version=__version__)
        api.create_repo(repo, repo_type="model", exist_ok=True)
        operations = [CommitOperationAdd(path_in_repo=path, path_or_fileobj=content) for path, content in sent.items()]
        revision = api.create_commit(repo, operations, commit_message=message, repo_type="model").oid
    except Exception as error:  # the client raises its own errors, its HTTP library's, the system's, and plain ones
        raise UserError(explain(error, repo, writing=True)) from error
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise UserError(f"the Hub took the files for {repo} but names no commit ({revision!r}): look at the repository's history")
    return revision
