"""Classifiers on frozen codes: what the labels would gain from the representation."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from imaetool.metrics._inputs import integers, rows
from imaetool.metrics.result import Result

__all__ = ["linear_probe", "mlp_probe"]


def linear_probe(train_codes, train_labels, test_codes, test_labels, *, c: float = 1.0) -> Result:
    """Test accuracy of multinomial logistic regression on standardised codes.

    train_codes: (N, K), train_labels: (N,); test_codes: (M, K), test_labels: (M,). ``c`` is the inverse
    of the L2 penalty. Source: infomax_vae section 6.3 (a linear classifier on z).
    """
    x, y, held_x, held_y, classes, notes = _read(train_codes, train_labels, test_codes, test_labels)
    model = LogisticRegression(C=c, max_iter=2000).fit(x.numpy(), y.numpy())
    right = torch.from_numpy(model.predict(held_x.numpy())) == held_y
    return _report("linear probe, logistic regression", right, len(x), {"c": c}, classes, notes)


def mlp_probe(
    train_codes,
    train_labels,
    test_codes,
    test_labels,
    *,
    hidden: tuple[int, ...] = (1000, 500, 100),
    epochs: int = 20,
    batch: int = 128,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> Result:
    """Test accuracy of the classifier of infomax_vae table 7 on standardised codes: FC 1000, 500, 100, ReLU.

    Shapes as in `linear_probe`. Optimiser and length are not in the paper; here Adam, cross-entropy,
    a fixed number of ``epochs``, no choice by test accuracy. The global random state is untouched.
    """
    x, y, held_x, held_y, classes, notes = _read(train_codes, train_labels, test_codes, test_labels)
    x, held_x = x.float(), held_x.float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = [x.shape[1], *hidden]
        layers = [layer for a, b in zip(widths, widths[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Linear(widths[-1], len(classes)))
        optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
        for _ in range(epochs):
            for some in torch.randperm(len(x)).split(batch):
                loss = nn.functional.cross_entropy(model(x[some]), y[some])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            right = torch.cat([model(part).argmax(1) for part in held_x.split(8192)]) == held_y
    settings = {"hidden": list(hidden), "epochs": epochs, "batch": batch, "learning_rate": learning_rate, "seed": seed}
    name = "MLP probe, " + "-".join(map(str, hidden))
    return _report(name, right, len(x), settings, classes, notes)


def _read(
    train_codes, train_labels, test_codes, test_labels
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[int], tuple[str, ...]]:
    """Codes standardised by the training codes, labels as 0..L-1 (test labels never seen: -1), the labels, notes."""
    x, held_x = rows(train_codes, "train_codes"), rows(test_codes, "test_codes")
    if x.shape[1] != held_x.shape[1]:
        raise ValueError(f"training codes have {x.shape[1]} units, test codes {held_x.shape[1]}")
    classes, y = torch.unique(integers(train_labels, "train_labels", len(x)), return_inverse=True)
    labels = integers(test_labels, "test_labels", len(held_x))
    if len(classes) < 2:
        raise ValueError("the training labels have one value: nothing to tell apart")
    place = torch.searchsorted(classes, labels.contiguous()).clamp_max(len(classes) - 1)
    held_y = torch.where(classes[place] == labels, place, -1)
    unseen = sorted(set(labels[held_y < 0].tolist()))
    notes = (f"labels without training codes count as wrong: {', '.join(map(str, unseen))}",) if unseen else ()
    spread = x.std(0, unbiased=False)
    scale = torch.where(spread > 0, spread, 1.0)
    return (x - x.mean(0)) / scale, y, (held_x - x.mean(0)) / scale, held_y, classes.tolist(), notes


def _report(variant: str, right: Tensor, train: int, settings: dict, classes: list[int], notes: tuple[str, ...]) -> Result:
    value = float(right.double().mean())
    return Result(
        metric="probe",
        variant=variant,
        value=value,
        n=len(right),
        unit="fraction",
        estimator=f"fitted on {train} codes, measured on {len(right)}",
        error=float(np.sqrt(value * (1 - value) / len(right))),
        settings=settings,
        details={"labels": classes},
        notes=notes,
    )
