"""Train the zoo: any subset, on CPU or GPU, several models at once, within a time budget; then package it.

    python scripts/train_zoo.py --data-root DATA --runs zoo-runs --minutes 9 --jobs 4
    python scripts/train_zoo.py imae-mnist vmi-vae-mnist --data-root DATA --runs zoo-runs

Each call goes on where the last one stopped (a run that is cut off resumes with the same bits). A model
is packaged once all its seeds are trained: the seed is chosen by a term of the objective, never by a
label or a factor; its weights are stored in half precision (in full where that would change a figure)
and written to the package or to weights/, and its row to weights_manifest.json.
"""

from __future__ import annotations

import argparse
import csv
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from imaetool.errors import UserError
from imaetool.zoo.manifest import BUNDLED, Model, read_manifest, write_manifest

ROOT = Path(__file__).resolve().parents[1]
CATEGORIES = ("accuracy", "information", "reconstruction", "active-units")
UNITS = ("information", "reconstruction", "active-units")
NEURAL = (*UNITS, "mutual-information")
FACTORS = ("mig", "reconstruction", "total-correlation")


@dataclass(frozen=True)
class Plan:
    """How a model of the zoo is made. ``choose``: the term of history.csv, lowest in the last epoch, that picks the seed."""

    name: str
    summary: str
    metrics: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    choose: str = "loss"
    bundled: bool = False
    recipe: str = ""  # where it is not the name
    flags: tuple[str, ...] = ()
    settings: tuple[tuple[str, object], ...] = ()
    weights: bool = True  # False: a recipe alone


_MIG = (("exclude", ("shape",)),)
_SAME = ("--network", "mlp-narrow-64", "--epochs", "6")  # the budget of imae-dsprites
_FACES, _OBJECTS, _SPRITES = ("--epochs", "20"), ("--epochs", "8"), ("--network", "mlp-narrow-64", "--epochs", "2")  # what two cores train in ten minutes
_SMALL, _MIDDLE = ("--batch-size", "64"), ("--batch-size", "128")  # more steps from 9,000 or 50,000 images
PLANS = [
    Plan("imae-mnist", "IMAE on MNIST: ten categories that are the digits, ten units of handwriting.", CATEGORIES, (0, 1, 2), "category_loss", True),
    Plan("imae-fashion-mnist", "IMAE on Fashion-MNIST: ten categories of clothes, ten units of their cut.", CATEGORIES, (0, 1, 2), "category_loss", True),
    Plan("imae-dsprites", "IMAE on dSprites: a unit each for x, y and scale.", FACTORS, (0, 1, 2, 3, 4), "total_correlation", True, settings=_MIG),
    Plan("imae-digits", "IMAE on the built-in 8x8 digits: the default of imaetool train.", CATEGORIES, (0, 1, 2), "category_loss", True),
    Plan("jointvae-mnist", "JointVAE on MNIST: a categorical and ten continuous units.", CATEGORIES, (0, 1, 2, 3, 4), "category_loss", True),
    Plan("vmi-vae-mnist", "VMI-VAE on MNIST: categories that a second network reads back from the decoded image.", CATEGORIES, (0, 1, 2), "category_loss", True),
    Plan("infomax-vae-mnist", "InfoMax-VAE on MNIST, convolutions, 20 units, all of them active.", NEURAL, bundled=True),
    Plan("vae-mnist", "The VAE baseline on MNIST.", CATEGORIES),
    Plan("vae-mnist-conv", "The VAE that infomax-vae-mnist is compared with: its network, its 20 units.", NEURAL, recipe="infomax-vae-mnist", flags=("--objective", "vae")),
    Plan("beta-tcvae-mnist", "The beta-TCVAE baseline on MNIST.", CATEGORIES),
    Plan("jointvae-fashion-mnist", "JointVAE on Fashion-MNIST.", CATEGORIES),
    Plan("infomax-vae-fashion-mnist", "InfoMax-VAE on Fashion-MNIST.", NEURAL),
    Plan("vmi-vae-fashion-mnist", "VMI-VAE on Fashion-MNIST.", CATEGORIES),
    Plan("vae-fashion-mnist", "The VAE baseline on Fashion-MNIST.", CATEGORIES),
    Plan("beta-tcvae-fashion-mnist", "The beta-TCVAE baseline on Fashion-MNIST.", CATEGORIES),
    Plan("vae-dsprites", "The VAE baseline on dSprites.", FACTORS, settings=_MIG, flags=_SAME),
    Plan("beta-vae-dsprites", "The beta-VAE baseline on dSprites.", FACTORS, settings=_MIG, flags=_SAME),
    Plan("beta-tcvae-dsprites", "The beta-TCVAE baseline on dSprites.", FACTORS, settings=_MIG, flags=_SAME),
    Plan("jointvae-dsprites", "JointVAE on dSprites.", FACTORS, settings=_MIG),
    Plan("infomax-vae-dsprites", "InfoMax-VAE on dSprites.", FACTORS, settings=_MIG, flags=_SPRITES),
    Plan("vmi-vae-dsprites", "VMI-VAE on dSprites.", FACTORS, settings=_MIG, flags=_SPRITES),
    Plan("imae-celeba", "IMAE on 10,000 CelebA faces.", UNITS, flags=_FACES + _SMALL),
    Plan("vmi-vae-celeba", "VMI-VAE on 10,000 CelebA faces.", UNITS, flags=_FACES + _SMALL),
    Plan("jointvae-celeba", "JointVAE on 10,000 CelebA faces.", UNITS, flags=_FACES),
    Plan("infomax-vae-celeba", "InfoMax-VAE on 10,000 CelebA faces.", NEURAL, flags=_FACES),
    Plan("vae-celeba", "The VAE baseline on 10,000 CelebA faces.", UNITS, flags=_FACES),
    Plan("beta-tcvae-celeba", "The beta-TCVAE baseline on 10,000 CelebA faces.", UNITS, flags=_FACES + _SMALL),
    Plan("imae-cifar10", "IMAE on CIFAR-10.", CATEGORIES, flags=_OBJECTS + _MIDDLE),
    Plan("jointvae-cifar10", "JointVAE on CIFAR-10.", CATEGORIES, flags=_OBJECTS),
    Plan("vmi-vae-cifar10", "VMI-VAE on CIFAR-10.", CATEGORIES, flags=_OBJECTS + _MIDDLE),
    Plan("infomax-vae-cifar10", "InfoMax-VAE on CIFAR-10.", NEURAL, flags=_OBJECTS),
    Plan("vae-cifar10", "The VAE baseline on CIFAR-10.", UNITS, flags=_OBJECTS),
    Plan("beta-tcvae-cifar10", "The beta-TCVAE baseline on CIFAR-10.", UNITS, flags=_OBJECTS),
    Plan("jointvae-chairs", "JointVAE on 3D Chairs.", UNITS, weights=False),
]


def last_values(run: Path) -> dict[str, float]:
    """Every term of the last finished epoch of a run."""
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    last = rows[-1]["epoch"]
    return {row["term"]: float(row["nats"]) for row in rows if row["epoch"] == last}


def train(plan: Plan, seed: int, options: argparse.Namespace, deadline: float) -> str:
    """Start or resume one run; it is interrupted, and saves, at the deadline."""
    run, command = options.runs / f"{plan.name}-s{seed}", [sys.executable, "-m", "imaetool", "train"]
    if (run / "model.safetensors").is_file():
        return "done before"
    if deadline - time.monotonic() < 10:
        return "not started: no time left"
    if (run / "checkpoint.safetensors").is_file():
        command += ["--resume", str(run), "--data-root", str(options.data_root)]
    else:
        command += ["--recipe", plan.recipe or plan.name, "--seed", str(seed), "--data-root", str(options.data_root)]
        command += ["--output", str(run), "--device", options.device, *plan.flags]
    with open(options.runs / f"{plan.name}-s{seed}.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)
        try:
            code = process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            return "stopped and saved"
    return "done" if code == 0 else f"failed with exit code {code}: see {plan.name}-s{seed}.log"


def ship(plan: Plan, options: argparse.Namespace) -> str:
    """Package the best seed of a plan, and write its row."""
    from imaetool.zoo.package import package

    rows = read_manifest()
    empty = Model(plan.name, "recipe only", plan.recipe or plan.name, plan.summary, bundled=plan.bundled)
    if not plan.weights:
        write_manifest(rows | {plan.name: empty})
        return "recipe only"
    runs = {seed: options.runs / f"{plan.name}-s{seed}" for seed in plan.seeds}
    if missing := [seed for seed, run in runs.items() if not (run / "model.safetensors").is_file()]:
        return f"not packaged: seeds {', '.join(map(str, missing))} are not trained"
    scores = {seed: last_values(run)[plan.choose] for seed, run in runs.items()}
    best = min(scores, key=scores.get)
    notes = ""
    if len(scores) > 1:
        told = ", ".join(f"{seed}: {score:.4f}" for seed, score in scores.items())
        notes = f"seed {best} of {len(scores)}, the one with the lowest {plan.choose} in the last epoch ({told}): no label or factor was used"
    flags = " ".join(["", *plan.flags])
    empty = replace(empty, notes=notes, training={"command": f"imaetool train --recipe {empty.recipe} --seed {best}{flags}"})
    folder = BUNDLED if plan.bundled else ROOT / "weights"
    row = package(runs[best], empty, folder=folder, metrics=plan.metrics, settings=dict(plan.settings), data_root=str(options.data_root))
    order = [p.name for p in PLANS]
    rows = read_manifest() | {plan.name: row}
    write_manifest({name: rows[name] for name in sorted(rows, key=lambda n: order.index(n) if n in order else len(order))})
    return f"packaged: {row.file}, {row.size / 1e6:.1f} MB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="models of the zoo (default: all)")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("zoo-runs"))
    parser.add_argument("--seeds", type=int, nargs="+", help="these seeds alone (default: those of the plan)")
    parser.add_argument("--minutes", type=float, default=1e6, help="stop and save after this long")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--package-only", action="store_true", help="package what is trained; train nothing")
    parser.add_argument("--train-only", action="store_true", help="train; package nothing")
    options = parser.parse_args()
    plans = {plan.name: replace(plan, seeds=tuple(options.seeds or plan.seeds)) for plan in PLANS}
    if unknown := [name for name in options.names if name not in plans]:
        parser.error(f"unknown: {', '.join(unknown)} (known: {', '.join(plans)})")
    chosen = [plans[name] for name in options.names or plans]
    options.runs = options.runs.resolve()
    options.data_root = options.data_root.resolve()
    options.runs.mkdir(parents=True, exist_ok=True)
    deadline, failed = time.monotonic() + 60 * options.minutes, False
    if not options.package_only:
        jobs = [(plan, seed) for plan in chosen if plan.weights for seed in plan.seeds]
        with ThreadPoolExecutor(options.jobs) as pool:
            for (plan, seed), said in zip(jobs, pool.map(lambda job: train(*job, options, deadline), jobs), strict=True):
                print(f"{plan.name}, seed {seed}: {said}", flush=True)
                failed |= said.startswith("failed")
    if not options.train_only:
        for plan in chosen:
            try:
                print(f"{plan.name}: {ship(plan, options)}", flush=True)
            except UserError as error:
                print(f"{plan.name}: {error}", flush=True)
                failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
