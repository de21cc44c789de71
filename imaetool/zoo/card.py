"""Model cards: the README.md of a repository on the Hub, for one model and for several.

A card is a block of YAML, which the Hub reads, and Markdown, which people read. Every fact comes from the manifest's row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from imaetool.errors import UserError
from imaetool.zoo.hub import DEFAULT_FILE
from imaetool.zoo.manifest import Figure, Model

__all__ = ["check_card", "collection_card", "is_restricted", "model_card", "place"]

TASK = "image-feature-extraction"  # the Hub's task that an encoder of images does
_TAGS = ("imaetool", "autoencoder", "representation-learning", "unsupervised", "safetensors")
_YAML = re.compile(r"---\n(.*?)\n---\n", re.DOTALL)
_LIMITS = """\
For looking at what an image collection holds: codes for each image, groups without labels, what a unit changes, how much
each unit carries; and for comparing methods that learn such codes. The codes mean something for images like those of the
training data, in the same shape, framing and polarity; for others they mean little. The categories were found without
labels and need not be the classes that people would name. Not for decisions about people, and not for telling who
someone is."""


def is_restricted(model: Model) -> bool:
    """Whether the training data's licence allows non-commercial use only: its weights are then not under MIT."""
    return re.search(r"non-?\s?commercial|\bNC\b", model.data.get("licence", ""), re.IGNORECASE) is not None


def place(model: Model) -> str:
    """What ``--model`` and ``imaetool.load`` take for this row: OWNER/REPO[:FILE], or its name where it is not published."""
    if not model.repo:
        return model.name
    return model.repo if model.file == DEFAULT_FILE else f"{model.repo}:{model.file}"


def model_card(model: Model, *, picture: str = "traversals.png") -> str:
    """README.md of one model. ``picture``: the traversals' path beside the card; "" leaves them out."""
    parts = [
        _front([model]), f"# {_text(model.name)}", _text(model.summary), _use(model),
        f"![What each unit changes, one row per unit, the most informative first]({picture})" if picture else "",
        "## Figures", _figures(model), "## Training", _training(model), "## Training data", _data(model),
        "## Intended use and limits", _LIMITS, "## Licence", _licence([model]),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def collection_card(models: Sequence[Model], *, title: str = "") -> str:
    """README.md of a repository with several models: each with its figures and the way to its own card, NAME/README.md."""
    sections = [
        f"## {_text(m.name)}\n\n{_text(m.summary)}\n\n{_use(m)}\n\n{_figures(m)}\n\nTrained on {_text(m.data.get('name', 'data of its own'))}, "
        f"licence {_text(m.data.get('licence', 'not stated'))}: see [its card]({m.name}/README.md)."
        for m in models
    ]
    top = f"# {_text(title or 'Models of imaetool')}\n\n{len(models)} auto-encoders of images whose codes mean something, each in one file."
    tail = f"## Intended use and limits\n\n{_LIMITS}\n\n## Licence\n\n{_licence(models)}"
    return "\n\n".join([_front(models), top, *sections, tail]) + "\n"


def check_card(card: str) -> dict[str, Any]:
    """The card's YAML, as the Hub will read it; UserError where it would not be a valid card."""
    from huggingface_hub import ModelCard

    try:
        data = ModelCard(card).data
        found = data.to_dict()
        if not _YAML.match(card) or not found.get("license") or found.get("library_name") != "imaetool":
            raise ValueError("its YAML lacks the licence or the library")
        if found["license"] == "other" and not found.get("license_name"):
            raise ValueError("a licence of its own needs a name")
    except Exception as error:  # whatever the YAML parser and the client's own checks raise
        text = " ".join(str(error).split())
        raise UserError(f"the card is not one that the Hub accepts: {text}; look at the rows' texts in the manifest") from error
    return found


def _front(models: Sequence[Model]) -> str:
    """The YAML block. Quoting is the YAML library's."""
    from huggingface_hub.utils import yaml_dump

    restricted = [m for m in models if is_restricted(m)]
    licence: dict[str, Any] = {"license": "mit"}
    if restricted:
        source = restricted[0].data.get("name", "data")
        mixed = "" if len(restricted) == len(models) else "mit-and-"
        name = re.sub(r"[^a-z0-9.-]+", "-", f"{mixed}{source}-non-commercial-research".lower())
        licence = {"license": "other", "license_name": name}
        if "://" in (link := _source(restricted[0])):
            licence["license_link"] = link
    head: dict[str, Any] = licence | {"library_name": "imaetool", "pipeline_tag": TASK}
    head["tags"] = list(dict.fromkeys([*_TAGS, *(_line(m.recipe) for m in models if m.recipe)]))
    if names := list(dict.fromkeys(_line(m.data["name"]) for m in models if m.data.get("name"))):
        head["datasets"] = names
    if index := [{"name": m.name, "results": _results(m)} for m in models if m.figures]:
        head["model-index"] = index
    return f"---\n{yaml_dump(head, sort_keys=False, width=10_000).strip()}\n---"


def _results(model: Model) -> list[dict[str, Any]]:
    """The figures as the Hub's model-index has them: one entry for each split."""
    name = model.data.get("name") or "data"
    return [
        {
            "task": {"type": TASK},
            "dataset": {"type": name, "name": name, "split": split},
            "metrics": [
                {"type": f.metric, "value": f.value, "name": f"{f.metric} ({f.variant})", "args": {"n": f.n, "unit": f.unit, **f.settings}}
                for f in model.figures
                if f.split == split
            ],
        }
        for split in dict.fromkeys(f.split for f in model.figures)
    ]


def _use(model: Model) -> str:
    where = _line(place(model))
    return (
        f"```sh\nimaetool encode images/ --model {where}\nimaetool traverse --unit all --model {where}\n```\n\n"
        f'```python\nimport imaetool\n\nmodel = imaetool.load("{where}")\n'
        "codes = model.encode(images)  # (B, C, H, W) in [0, 1] -> mu, log_var, category_logits\n```"
    )


def _figures(model: Model) -> str:
    if not model.figures:
        return "None measured yet."
    rows = [
        (f.metric, _variant(f), f"{f.value:.4g} {'' if f.unit == 'share' else f.unit}".strip(), f"{f.n:,}", f.split) for f in model.figures
    ]
    lines = ["| figure | variant | value | N | split |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(_text, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n\nMeasured on these very weights; `imaetool eval` computes them again."


def _variant(figure: Figure) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in figure.settings.items())
    return f"{figure.variant} ({settings})" if settings else figure.variant


def _training(model: Model) -> str:
    training = model.training
    facts = {
        "recipe": model.recipe, "seed": training.get("seed"), "machine": training.get("machine"),
        "time": _time(training["seconds"]) if training.get("seconds") else None,
        "versions": ", ".join(f"{k} {v}" for k, v in (training.get("versions") or {}).items()) or None,
        "weights": f"{model.dtype or 'safetensors'}, {model.size:,} bytes, sha256 {model.sha256}" if model.sha256 else None,
    }  # fmt: skip
    lines = [f"- {key}: {_text(value)}" for key, value in facts.items() if value not in (None, "")]
    command = f"```sh\n{_line(training['command'])}\n```" if training.get("command") else ""
    return "\n\n".join(part for part in (command, "\n".join(lines), _text(model.notes)) if part)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _data(model: Model) -> str:
    facts = {
        "name": model.data.get("name"), "source": _source(model), "licence": model.data.get("licence"),
        "checksum": model.data.get("checksum"),
    }  # fmt: skip
    return "\n".join(f"- {key}: {_text(value)}" for key, value in facts.items() if value) or "Not stated."


def _source(model: Model) -> str:
    """Where the data comes from: the row's source unless that is a path on somebody's disk, else the catalogue's."""
    source = model.data.get("source", "")
    if "://" in source or not re.search(r"[/\\]", source):
        return source
    from imaetool.data.catalogue import DATASETS

    entry = DATASETS.get(model.data.get("name", ""))
    return entry.source if entry else ""


def _licence(models: Sequence[Model]) -> str:
    restricted = [m for m in models if is_restricted(m)]
    if not restricted:
        return "The weights are under the MIT licence, as imaetool is. The training data has the licence named above."
    whose = "The weights" if len(restricted) == len(models) else f"The weights of {', '.join(_text(m.name) for m in restricted)}"
    rest = "" if len(restricted) == len(models) else " The other weights are under the MIT licence."
    return f"{whose} were trained on data for {_text(restricted[0].data['licence'])}, and are for that use only.{rest}"


def _line(value: object) -> str:
    """One line that ends no code block."""
    return " ".join(str(value).split()).replace("```", "'''")


def _text(value: object) -> str:
    """One line of Markdown in which nothing starts a cell or an HTML tag."""
    return _line(value).replace("|", r"\|").replace("<", "&lt;")
