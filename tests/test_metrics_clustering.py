"""Categories against labels, on confusion matrices worked out by hand."""

import itertools
import math

import numpy as np
import pytest
import torch

from imaetool.metrics.active_units import active_units
from imaetool.metrics.clustering import accuracy, accuracy_majority, ari, confusion, nmi


def from_counts(counts):
    """(N,) categories and labels whose confusion matrix is ``counts``."""
    pairs = [(a, b) for a, row in enumerate(counts) for b, c in enumerate(row) for _ in range(c)]
    pairs = np.array(pairs)[np.random.default_rng(0).permutation(len(pairs))]
    return pairs[:, 0], pairs[:, 1]


# Majority takes 9 + 8 + 4; one-to-one must send category 1 elsewhere: 9 + 4 + 4 or 5 + 8 + 4.
KNOWN = [[9, 5, 0], [8, 4, 1], [1, 2, 4]]


def test_hungarian_on_a_known_confusion_matrix():
    y, labels = from_counts(KNOWN)
    result = accuracy(y, labels)
    assert result.value == pytest.approx(17 / 34)
    assert result.details["confusion"] == KNOWN
    assert accuracy_majority(y, labels).value == pytest.approx(21 / 34)
    assert result.error == pytest.approx(math.sqrt(0.25 / 34))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 4), (4, 1)])
def test_hungarian_equals_trying_every_assignment(shape):
    counts = np.random.default_rng(sum(shape)).integers(1, 20, shape)
    y, labels = from_counts(counts)
    wide = counts if shape[0] <= shape[1] else counts.T
    choices = itertools.permutations(range(wide.shape[1]), wide.shape[0])
    best = max(sum(wide[i, j] for i, j in enumerate(choice)) for choice in choices)
    assert accuracy(y, labels).value == pytest.approx(best / counts.sum())


def test_numbering_of_categories_and_labels_does_not_matter():
    y, labels = from_counts(KNOWN)
    renamed = torch.tensor([70, -3, 12])[torch.from_numpy(y)], torch.tensor([5, 900, 1])[torch.from_numpy(labels)]
    for metric in (accuracy, accuracy_majority, nmi, ari):
        assert metric(*renamed).value == pytest.approx(metric(y, labels).value)
    mapping = accuracy(*renamed).details["mapping"]
    assert set(mapping) == {"70", "-3", "12"} and set(mapping.values()) <= {5, 900, 1}


def test_more_categories_than_labels_is_counted_and_said():
    y = torch.arange(12)
    labels = y % 3
    one, many = accuracy(y, labels), accuracy_majority(y, labels)
    assert one.value == pytest.approx(3 / 12) and "12 categories for 3 labels" in one.notes[0]
    assert many.value == 1.0 and "favours many categories" in many.notes[0]


def test_fewer_categories_than_labels_names_the_labels_left_over():
    result = accuracy([0] * 10 + [1] * 10, [0] * 10 + [1] * 6 + [2] * 4)
    assert result.value == pytest.approx(16 / 20)
    assert result.notes == ("only 2 categories occur for 3 labels: labels 2 are never named",)


def test_nmi_and_ari_against_their_formulas():
    y, labels = from_counts(KNOWN)
    p = np.array(KNOWN) / 34
    a, b = p.sum(1), p.sum(0)
    entropy = lambda q: -(q * np.log(q)).sum()  # noqa: E731
    information = sum(p[i, j] * math.log(p[i, j] / a[i] / b[j]) for i in range(3) for j in range(3) if p[i, j])
    assert nmi(y, labels).value == pytest.approx(2 * information / (entropy(a) + entropy(b)))
    pairs = lambda c: sum(math.comb(int(v), 2) for v in np.ravel(c))  # noqa: E731
    rows, columns, both = pairs(np.sum(KNOWN, 1)), pairs(np.sum(KNOWN, 0)), pairs(KNOWN)
    chance = rows * columns / math.comb(34, 2)
    assert ari(y, labels).value == pytest.approx((both - chance) / ((rows + columns) / 2 - chance))


def test_random_categories_score_near_chance():
    generator = torch.Generator().manual_seed(0)
    y, labels = (torch.randint(0, 10, (20_000,), generator=generator) for _ in range(2))
    assert 0.1 < accuracy(y, labels).value < 0.12  # the best assignment lifts it a little above 1/10
    assert abs(ari(y, labels).value) < 0.002 and nmi(y, labels).value < 0.002


def test_one_category_is_noted():
    assert "only one category occurs" in nmi([3, 3, 3], [0, 1, 1]).notes
    assert nmi([3, 3, 3], [0, 1, 1]).value == 0


def test_confusion_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="2 entries for 3"):
        confusion([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match="whole numbers"):
        accuracy([0.5, 1.0], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        accuracy(torch.eye(3), [0, 1, 2])


def test_active_units_counts_variances_at_least_eps():
    scale = torch.tensor([0.0, 0.1, 0.2, 0.3, 2.0])  # variances 0, .01, .04, .09, 4
    mu = torch.tensor([[-1.0], [1.0]]) * scale
    assert active_units(mu).value == 2
    assert active_units(mu, eps=0.005).value == 4
    assert active_units(mu, eps=0.005).details["active"] == [1, 2, 3, 4]
    assert active_units(mu * 0).value == 0
    assert "0.05" in active_units(mu).variant
    with pytest.raises(ValueError, match="eps"):
        active_units(mu, eps=0)
