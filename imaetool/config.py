"""All the settings of one training run: frozen, validated, read from TOML. Standard library only."""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from imaetool.errors import UserError, unknown_name

__all__ = [
    "Config", "Data", "Latents", "Smoothness", "Training",
    "apply", "from_dict", "load_recipe", "parse_assignment", "recipe_names", "to_dict",
]


@dataclass(frozen=True)
class Data:
    """Which images, and how they are brought to one shape."""

    name: str = "digits"  # a dataset's name, or "folder"
    root: str = ""  # where dataset files are looked for; for one's own images, their folder or archive
    size: int = 0  # height and width in pixels; 0: the data's own, or chosen from a folder
    channels: int = 0  # 1 or 3; 0: the data's own, or chosen from a folder
    crop: str = "center"  # center, pad or stretch
    background: str = "black"  # what shows through alpha
    invert: bool = False  # exchange dark and light
    labels: str = ""  # of one's own images: a CSV file, path,label; else from class sub-folders
    factors: str = ""  # of one's own images: a CSV file whose first line names the factors
    binarize: bool = False  # every pixel 0 or 1, by whether it is above 0.5


@dataclass(frozen=True)
class Latents:
    """The code (z, y): units and categorical variables."""

    continuous: int = 10  # units of z
    categories: tuple[int, ...] = (10,)  # values of each categorical variable; () for none
    temperature: float = 0.67  # of the Gumbel-softmax sample of y while training
    detach_categories: bool = False  # keep the decoder's gradient out of p(y|x)


@dataclass(frozen=True)
class Smoothness:
    """Weights of the two smoothness penalties on p(y|x), and what their moves are."""

    vat: float = 0.0  # weight of virtual adversarial training
    affine: float = 0.0  # weight of agreement under small random affine moves
    epsilon: float = 1.0  # norm of the adversarial step, pixels in [0, 1]
    xi: float = 10.0  # norm of the probe that finds its direction
    rotate: float = 15.0  # degrees
    shear: float = 0.35
    zoom: float = 0.12  # fraction
    shift: float = 0.1  # fraction of the image's side
    flip: float = 0.0  # probability of a left-right mirror
    elastic: float = 0.0  # bending: standard deviation of a 4 x 4 grid of control points, as a fraction of the image's side
    padding: str = "zeros"  # what enters at the border: zeros, border or reflection


@dataclass(frozen=True)
class Training:
    """The optimiser, the length and the machine."""

    epochs: int = 20  # in total, resumed runs included
    least_steps: int = 0  # where images are few: more epochs, until so many steps, in batches of at most an eighth of them
    batch_size: int = 256
    optimizer: str = "adam"  # adam or momentum
    lr: float = 1e-3
    lr_decay: float = 1.0  # factor on the learning rate after each epoch
    lr_decay_from: int = 0  # epochs before the first of these factors
    momentum: float = 0.9  # of the momentum optimiser
    memory: int = 0  # codes of past batches kept for the marginal p(z); 0: the batch's own alone
    memory_after: int = 0  # iterations before the memory is used
    clip_norm: float = 0.0  # longest gradient of a step, over all weights; 0: any length
    restarts: int = 1  # starts from different weights, the best one kept
    restart_epochs: int = 3  # epochs that each start is tried for
    restart_by: str = "loss"  # the term whose lowest value chooses
    start: int = 0  # which start the weights come from; written by a run that has chosen
    seed: int = 0
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: str = "auto"  # auto, fp32 or bf16


@dataclass(frozen=True)
class Config:
    """One training run. ``objective`` holds the objective's name and its own settings."""

    name: str = "imae"
    source: str = ""
    network: str = "mlp-imae"
    objective: Mapping[str, Any] = field(default_factory=lambda: {"name": "imae"})
    data: Data = Data()
    latents: Latents = Latents()
    smoothness: Smoothness = Smoothness()
    training: Training = Training()

    def __post_init__(self) -> None:
        check(self)


_SECTIONS = {"data": Data, "latents": Latents, "smoothness": Smoothness, "training": Training}
_CHOICES = {
    "data.crop": ("center", "pad", "stretch"),
    "data.channels": (0, 1, 3),
    "smoothness.padding": ("zeros", "border", "reflection"),
    "training.optimizer": ("adam", "momentum"),
    "training.precision": ("auto", "fp32", "bf16"),
}
_MOST_LATENTS = 65_536
MOST_SEED = 2**63 - 1
MOST_SIDE = 1024  # pixels of an image; a model of larger ones is not loaded either
_POSITIVE = ("training.epochs", "training.restarts", "training.restart_epochs", "training.batch_size", "training.lr", "training.lr_decay", "latents.temperature")
_NOT_NEGATIVE = (
    "data.size", "latents.continuous", "training.seed", "training.least_steps", "training.start", "training.lr_decay_from", "training.momentum", "training.clip_norm", "training.memory", "training.memory_after", "smoothness.vat",
    "smoothness.affine", "smoothness.epsilon", "smoothness.xi", "smoothness.flip", "smoothness.zoom", "smoothness.elastic",
)


def _get(config: Config, key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(config, section), name)


def check(config: Config) -> None:
    """Raise UserError, naming the setting and its value, unless every setting makes sense."""
    for key, allowed in _CHOICES.items():
        if _get(config, key) not in allowed:
            raise UserError(f"{key} = {_get(config, key)!r}: must be one of {', '.join(map(str, allowed))}")
    for key in _POSITIVE:
        if not 0 < _get(config, key) < float("inf"):
            raise UserError(f"{key} = {_get(config, key)}: must be a positive number")
    for key in _NOT_NEGATIVE:
        if not 0 <= _get(config, key) < float("inf"):
            raise UserError(f"{key} = {_get(config, key)}: must be 0 or more")
    if config.data.size > MOST_SIDE:
        raise UserError(f"data.size = {config.data.size}: give a --size of at most {MOST_SIDE}")
    if config.training.seed > MOST_SEED:
        raise UserError(f"training.seed = {config.training.seed}: give a --seed of at most 2^63 - 1")
    for kind in ("labels", "factors"):
        if getattr(config.data, kind) and config.data.name != "folder":
            raise UserError(f"data.{kind} = {getattr(config.data, kind)!r}: a file of {kind} goes with images of your own, and the data is {config.data.name}")
    latents = config.latents
    if any(size < 2 for size in latents.categories):
        raise UserError(f"latents.categories = {list(latents.categories)}: each needs 2 values or more (or [] for none)")
    if latents.continuous > _MOST_LATENTS or sum(latents.categories) > _MOST_LATENTS:
        raise UserError(f"latents: at most {_MOST_LATENTS:,} units and as many categories")
    if latents.continuous + sum(latents.categories) == 0:
        raise UserError("the code is empty: give latents.continuous or latents.categories")
    if "name" not in config.objective:
        raise UserError("the [objective] section has no name")


def _coerce(key: str, value: Any, kind: Any) -> Any:
    """``value`` as the type ``kind`` of setting ``key``; UserError if it is not one."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(kind) is tuple:
        values = value if isinstance(value, (list, tuple)) else [value]
        if values in ([0], (0,)):
            return ()
        if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            return tuple(values)
        raise UserError(f"{key} = {value!r}: must be a whole number or a list of them")
    if isinstance(kind, types.UnionType) or not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{key} = {value!r}: must be {_NAMES.get(kind, kind)}")
    return value


_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _build(section: str, values: Mapping[str, Any]):
    cls = _SECTIONS[section]
    kinds = typing.get_type_hints(cls)
    for name in values:
        if name not in kinds:
            raise unknown_name(f"setting in [{section}]", name, kinds)
    return cls(**{name: _coerce(f"{section}.{name}", value, kinds[name]) for name, value in values.items()})


def from_dict(values: Mapping[str, Any]) -> Config:
    """A Config from nested tables, as TOML gives them; UserError on anything unknown or ill-typed."""
    known = {f.name for f in fields(Config)}
    arguments: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise unknown_name("setting", name, known)
        if name in _SECTIONS or name == "objective":
            if not isinstance(value, Mapping):
                raise UserError(f"{name} = {value!r}: must be a table, [{name}]")
            arguments[name] = dict(value) if name == "objective" else _build(name, value)
        else:
            arguments[name] = _coerce(name, value, str)
    return Config(**arguments)


def to_dict(config: Config) -> dict[str, Any]:
    """Nested plain tables, ready for TOML or JSON; from_dict gives the same Config back."""
    values = asdict(replace(config, objective=dict(config.objective)))
    values["latents"]["categories"] = list(config.latents.categories)
    return values


def parse_assignment(text: str) -> tuple[str, Any]:
    """"key=value" as (key, value), the value read as TOML, or as plain text where it is not TOML.

    >>> parse_assignment("training.lr=1e-3"), parse_assignment("crop=pad")
    (('training.lr', 0.001), ('crop', 'pad'))
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise UserError(f"--set {text!r}: must be key=value, for example --set training.lr=1e-3")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _full_key(key: str, objective_settings: typing.Iterable[str]) -> tuple[str, str]:
    """(section, name) of a dotted or bare setting name; section "" for the top level."""
    places = [("", "name"), ("", "source"), ("", "network")]
    places += [(section, f.name) for section, cls in _SECTIONS.items() for f in fields(cls)]
    places += [("objective", name) for name in ("name", *objective_settings)]
    names = {f"{section}.{name}" if section else name: (section, name) for section, name in places}
    if key in names:
        return names[key]
    bare = [place for place in places if place[1] == key and place[0]]
    if len(bare) == 1:
        return bare[0]
    if len(bare) > 1:
        raise UserError(f"--set {key}: ambiguous, say {' or '.join(f'{s}.{n}' for s, n in bare)}")
    raise unknown_name("setting", key, [*names, *(name for _, name in places)])


def apply(config: Config, changes: Mapping[str, Any], objective_settings: typing.Iterable[str] = ()) -> Config:
    """``config`` with dotted or bare keys changed; an unknown key names the nearest right one."""
    values = to_dict(config)
    for key, value in changes.items():
        section, name = _full_key(key, objective_settings)
        (values[section] if section else values)[name] = value
    return from_dict(values)


def _recipe_files() -> dict[str, Any]:
    return {p.name.removesuffix(".toml"): p for p in files("imaetool.recipes").iterdir() if p.name.endswith(".toml")}


def recipe_names() -> list[str]:
    return sorted(_recipe_files())


def load_recipe(name: str) -> Config:
    """The packaged recipe ``name``, or the TOML file at that path."""
    packaged = _recipe_files()
    if name in packaged:
        text = packaged[name].read_text(encoding="utf-8")
    elif name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read recipe {name}: {error}") from error
    else:
        raise unknown_name("recipe", name, packaged)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"recipe {name} is not valid TOML: {error}") from error
    values.pop("record", None)  # a run's config.toml is a recipe too
    return from_dict(values)
