"""Disentanglement against reconstruction on dSprites: one row per run in a CSV, one point per run in a picture.

    python scripts/dsprites_figure.py zoo-runs/*-dsprites-s* --output docs/figures/dsprites

Writes OUTPUT.csv (a run that is in it already is not measured again) and OUTPUT.svg. Needs matplotlib
(pip install .[figures]).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

COLUMNS = ("model", "seed", "epochs", "mig_chen", "mig_exact", "reconstruction", "total_correlation")


def measured(run: Path) -> dict[str, str]:
    """The figures of one finished run: MIG on scale, orientation, x and y (means over the factors); nats per image."""
    from imaetool.data import open_data
    from imaetool.training import checkpoint
    from imaetool.zoo.package import figures_of

    model = checkpoint.load(run / "model.safetensors")
    found = figures_of(model, open_data(model.config.data), ("mig", "reconstruction"), {"exclude": ("shape",)}, "train")
    value = {f"{f.metric} {f.variant}": f.value for f in found}
    with open(run / "history.csv", newline="") as file:
        terms = {row["term"]: float(row["nats"]) for row in csv.DictReader(file)}  # the last epoch's
    print(run.name, value, flush=True)
    names = ("mig-chen", "mig-exact", "reconstruction sampled code")
    numbers = [*(next(v for k, v in value.items() if k.startswith(name)) for name in names), terms.get("total_correlation", float("nan"))]
    training = model.config.training
    return dict(zip(COLUMNS, [model.config.name, str(training.seed), str(training.epochs), *(f"{n:.4f}" for n in numbers)], strict=True))


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """One point per run: reconstruction (nats per image) across, MIG up; a colour and a mark per method."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "imaetool", "font.size": 10})
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for mark, name in zip("osD^vP", sorted({row["model"] for row in rows}), strict=False):
        own = [row for row in rows if row["model"] == name]
        axes.scatter([float(r["reconstruction"]) for r in own], [float(r["mig_chen"]) for r in own], marker=mark, s=45, label=name, alpha=0.8)
        for r in own:
            axes.annotate(r["seed"], (float(r["reconstruction"]), float(r["mig_chen"])), textcoords="offset points", xytext=(6, 3), fontsize=8)
    axes.set(xlabel="reconstruction, nats per image (less is better)", ylabel="MIG (mig-chen: scale, orientation, x, y)", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, help="finished runs on dSprites")
    parser.add_argument("--output", type=Path, default=Path("docs/figures/dsprites"))
    options = parser.parse_args()
    table, rows = options.output.with_suffix(".csv"), []
    if table.is_file():
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
    for run in options.runs:
        from imaetool.training import checkpoint

        config = checkpoint.load(run / "model.safetensors").config
        if any(row["model"] == config.name and row["seed"] == str(config.training.seed) for row in rows):
            continue
        rows.append(measured(run))
        rows.sort(key=lambda row: (row["model"], int(row["seed"])))
        table.parent.mkdir(parents=True, exist_ok=True)
        with open(table, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    draw(rows, options.output.with_suffix(".svg"))


if __name__ == "__main__":
    main()
