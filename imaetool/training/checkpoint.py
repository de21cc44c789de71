"""One safetensors file holds a model and the settings that rebuild it; nothing is ever unpickled.

The header's ``imaetool`` entry is JSON: format, config (all settings), shape, and a record of how
the model came about (versions, dataset checksum, seed, figures). Files are written to a temporary
name in the same folder, then renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from imaetool.config import MOST_SIDE, Config, from_dict, to_dict
from imaetool.errors import UserError
from imaetool.files import replace_file
from imaetool.model import Autoencoder
from imaetool.training.record import checked_record

__all__ = ["FORMAT", "Model", "load", "read_header", "read_state", "save_model", "save_state"]

FORMAT = 1
_LIMIT_HEADER = {"model": 4 << 20, "training state": 32 << 20}  # bytes; a state holds the history of every epoch
_TYPES = ("F32", "F16", "BF16", "I64")
_LIMIT_PIXELS = MOST_SIDE**2 * 3  # of the images of a model: convolutions of few weights can be asked for any size


class Model(Autoencoder):
    """An Autoencoder with the record of its making.

    ``config`` holds every setting of its training; ``record`` a dictionary of what was noted then.
    """

    config: Config
    record: dict[str, Any]
    path: Path | None = None


def _write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    replace_file(path, save(plain, metadata={"imaetool": json.dumps(header, ensure_ascii=True)}))


def save_model(
    path: Path, model: Autoencoder, config: Config, record: Mapping[str, Any], *, dtype: torch.dtype | None = None
) -> None:
    """Write ``model`` and all that rebuilds it; OSError names the path if it cannot be written.

    ``dtype``: that of the stored weights, for a smaller file; ``load`` gives them their own type again.
    """
    header = {"format": FORMAT, "kind": "model", "config": to_dict(config), "shape": list(model.shape), "record": record}
    weights = {k: v.to(dtype) if dtype and v.is_floating_point() else v for k, v in model.state_dict().items()}
    _write(path, weights, header)


def save_state(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write what a resumed run needs: tensors, and a JSON-ready header."""
    _write(path, tensors, {"format": FORMAT, "kind": "training state", **header})


def _open(path: Path, kind: str = "model"):
    try:
        if not path.is_file():
            raise UserError(f"no model at {path}")
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
        if length > _LIMIT_HEADER[kind]:
            raise UserError(f"{path} is not a whole safetensors file (it announces a header of {length:,} bytes): it cannot be loaded")
        return safe_open(os.fspath(path), framework="pt", device="cpu")
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}): it cannot be loaded") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def read_header(path: str | os.PathLike, kind: str = "model") -> dict[str, Any]:
    """The ``imaetool`` entry of a file's header, checked; UserError if it is not one of ours."""
    path = Path(path)
    with _open(path, kind) as file:
        text = (file.metadata() or {}).get("imaetool")
    try:
        header = json.loads(text) if text else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise UserError(f"{path} was not written by imaetool: its header has no imaetool entry")
    if header.get("format") != FORMAT:
        raise UserError(f"{path} has format {str(header.get('format'))[:40]}, this imaetool reads {FORMAT}: update imaetool")
    if header.get("kind") != kind:
        raise UserError(f"{path} holds a {str(header.get('kind'))[:40]!r}, not a {kind}")
    return header


def read_state(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What save_state wrote: (tensors, header)."""
    header = read_header(path, "training state")
    with _open(Path(path), "training state") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, header


def _checked_shape(path: Path, shape: Any) -> tuple[int, int, int]:
    whole = isinstance(shape, list) and len(shape) == 3 and all(isinstance(n, int) and n > 0 for n in shape)
    if not whole or shape[0] * shape[1] * shape[2] > _LIMIT_PIXELS:
        raise UserError(f"{path} says that its images have shape {str(shape)[:40]}: not a model that can be loaded")
    return tuple(shape)


def load(path: str | os.PathLike, device: str | torch.device = "cpu") -> Model:
    """The model of a file written by save_model, ready to encode and decode, in eval mode.

    Sizes are compared with the header's settings before any weight is read; a file of another
    kind, cut short, or whose weights do not fit its settings is refused with a UserError.
    """
    path = Path(path)
    header = read_header(path)
    shape = _checked_shape(path, header.get("shape"))
    try:
        config = from_dict(header["config"])
        with torch.device("meta"):
            model = Model(config.network, shape, config.latents)
    except (UserError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{path} has settings that no model can be built from: {(str(error) or type(error).__name__).splitlines()[0][:300]}") from error
    expected = model.state_dict()
    with _open(path) as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
        wanted = {name: tuple(t.shape) for name, t in expected.items()}
        if found != wanted:
            odd = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
            raise UserError(f"{path}: the weights do not fit network {config.network} ({odd[0][:100]!r} differs)")
        for name in found:
            if (kind := file.get_slice(name).get_dtype()) not in _TYPES:
                raise UserError(f"{path}: {name[:100]!r} is stored as {kind}, which no model of imaetool is")
        weights = {name: file.get_tensor(name).to(expected[name].dtype) for name in found}
    model.load_state_dict(weights, assign=True)
    if any(buffer.is_meta for buffer in model.buffers()):  # constants of the network, which no file holds
        model = Model(config.network, shape, config.latents)
        model.load_state_dict(weights)
    model.config, model.record, model.path = config, checked_record(header.get("record"), config.latents), path
    return model.to(device).eval().requires_grad_(False)
