"""The dSprites renderer against real frames, against the rule read literally, and against itself."""

import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imaetool.data import dsprites

REFERENCE = Path(__file__).parents[2] / "shared/data/dsprites/reference_frames.npz"


# --- real frames


@pytest.mark.skipif(not REFERENCE.is_file(), reason="reference_frames.npz is not beside the checkout")
def test_every_real_frame_is_exact():
    with np.load(REFERENCE, allow_pickle=False) as real:
        images, factors = real["images"], real["factors"]
    drawn = dsprites.render(dsprites.index_of(factors))
    wrong = np.flatnonzero((drawn != images).any(axis=(1, 2)))
    assert len(images) == 320
    assert wrong.tolist() == []


# --- the rule, read literally


def literal_polygon(shape, scale, orientation, pos_x, pos_y):
    """The vertices in 1/256 pixel, one at a time, from the text of the geometry."""
    if shape == 0:
        outline = [(-9.6, -9.6), (9.6, -9.6), (9.6, 9.6), (-9.6, 9.6)]
    elif shape == 1:
        angles = [2 * math.pi * i / 100 for i in range(100)]
        outline = [(1.33 * 9.6 * math.cos(u), 9.6 / 1.33 * math.sin(u)) for u in angles]
    else:
        outline = []
        for i in range(150):
            u = 2 * math.pi * i / 150
            lobes = 13 * math.cos(u) - 5 * math.cos(2 * u) - 2 * math.cos(3 * u) - math.cos(4 * u)
            outline.append((9.6 * math.sin(u) ** 3, -9.6 * (lobes / 14.5 + 0.15)))
    s, t = 0.5 + 0.1 * scale, 2 * math.pi * orientation / 39
    cx, cy = 16 + 32 * pos_x / 31, 16 + 32 * pos_y / 31
    cos, sin = math.cos(t), math.sin(t)
    placed = [(cx + s * (cos * x + sin * y), cy + s * (-sin * x + cos * y)) for x, y in outline]
    return [(round(256 * x), round(256 * y)) for x, y in placed]


def literal_frame(polygon):
    """Even-odd filling at every one of the 64 x 64 pixel centres, in Python integers."""
    edges = list(zip(polygon, polygon[1:] + polygon[:1], strict=True))
    frame = np.zeros((64, 64), np.uint8)
    for row in range(64):
        p = 256 * row + 128
        crossing = [(a, b) for a, b in edges if (a[1] < p) != (b[1] < p)]
        for column in range(64):
            q = 256 * column + 128
            for (ax, ay), (bx, by) in crossing:
                rise = by - ay
                excess = (q - ax) * rise - (p - ay) * (bx - ax)  # (q - x of the edge) * rise
                frame[row, column] ^= excess * (1 if rise > 0 else -1) >= 0
    return frame


@pytest.mark.parametrize("shape", [0, 1, 2])
def test_agrees_with_the_rule_read_literally(shape):
    pick = random.Random(shape)
    tuples = [[shape, *(pick.randrange(n) for n in dsprites.SIZES[1:])] for _ in range(40)]
    tuples += [[shape, 5, 0, 0, 0], [shape, 0, 39, 31, 31], [shape, 5, 13, 0, 31]]
    drawn = dsprites.render(dsprites.index_of(tuples))
    for factors, frame in zip(tuples, drawn, strict=True):
        assert np.array_equal(frame, literal_frame(literal_polygon(*factors))), factors


def test_pixel_centre_on_an_edge():
    """Left edge in, right edge out, top edge out, bottom edge in: a box with corners on centres."""
    low, high = 256 * 10 + 128, 256 * 20 + 128
    x, y = np.array([[low, high, high, low]]), np.array([[low, low, high, high]])
    packed = dsprites._filled(x[:, :, None].astype(np.int32), y.astype(np.int32))[0]
    expected = np.zeros((64, 64), np.uint8)
    expected[11:21, 10:20] = 1
    assert np.array_equal(dsprites.unpack(packed)[0, 0], expected)
    assert np.array_equal(literal_frame(list(zip(x[0].tolist(), y[0].tolist(), strict=True))), expected)


# --- the whole dataset


@pytest.fixture(scope="module")
def packed():
    return dsprites.render_packed()


def test_any_indices_equal_the_packed_rows(packed):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, dsprites.COUNT, 6000)  # more than one of render's chunks
    assert np.array_equal(dsprites.render(indices), dsprites.unpack(packed[indices])[:, 0])


@pytest.mark.parametrize("block", [0, 97, 239, 240, 333, 479, 480, 611, 719])
def test_whole_blocks_equal_the_packed_rows(packed, block):
    indices = np.arange(1024 * block, 1024 * (block + 1))
    assert np.array_equal(dsprites.render(indices), dsprites.unpack(packed[indices])[:, 0])


def test_mean_pixel(packed):
    """The official file's mean pixel is published as 0.042494423521889584 (disent)."""
    ones = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)
    total = sum(int(ones[rows].sum()) for rows in np.array_split(packed, 90))
    assert total / (dsprites.COUNT * 4096) == pytest.approx(0.042494423521889584, abs=2e-9)


def test_a_full_turn_draws_the_same(packed):
    blocks = packed.reshape(3, 6, 40, -1)
    assert np.array_equal(blocks[:, :, 0], blocks[:, :, 39])


def test_out_and_progress(packed):
    out, seen = np.zeros_like(packed), []
    assert dsprites.render_packed(out, lambda *counts: seen.append(counts)) is out
    assert np.array_equal(out, packed)
    assert seen[0] == (1024, dsprites.COUNT) and seen[-1] == (dsprites.COUNT, dsprites.COUNT)


# --- indices


def test_indices_and_factors_round_trip():
    indices = np.arange(0, dsprites.COUNT, 7)
    factors = dsprites.factor_indices(indices)
    assert factors.shape == (len(indices), 5) and factors.dtype == np.int64
    assert np.array_equal(dsprites.index_of(factors), indices)
    assert dsprites.index_of([2, 5, 39, 31, 31]) == dsprites.COUNT - 1
    assert dsprites.factor_indices([1, 32, 1024, 40 * 1024, 240 * 1024]).tolist() == [
        [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0],
    ]  # fmt: skip
    assert tuple(dsprites.FACTORS) == ("shape", "scale", "orientation", "pos_x", "pos_y")
    assert math.prod(dsprites.FACTORS.values()) == dsprites.COUNT


def test_factor_values_are_the_official_ones():
    first, last = dsprites.factor_values([0, dsprites.COUNT - 1])
    assert first.tolist() == [1, 0.5, 0, 0, 0]
    assert last.tolist() == [3, 1, 2 * np.pi, 1, 1]


def test_no_indices_draw_no_images():
    assert dsprites.render([]).shape == (0, 64, 64)
    assert dsprites.factor_values([]).shape == (0, 5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: dsprites.render([dsprites.COUNT]), "out of range"),
        (lambda: dsprites.render([-1]), "out of range"),
        (lambda: dsprites.render([0.5]), "must be integers, not float64"),
        (lambda: dsprites.render(3), "one row of integers"),
        (lambda: dsprites.index_of([0, 6, 0, 0, 0]), "out of range"),
        (lambda: dsprites.index_of([0, 0, 0]), r"must be \(N, 5\)"),
        (lambda: dsprites.unpack(np.zeros((2, 512))), "must be uint8"),
        (lambda: dsprites.render_packed(np.zeros((2, 512), np.uint8)), "out must be uint8"),
    ],
)
def test_mistakes_are_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# --- torch


def test_unpack_torch_equals_unpack():
    torch = pytest.importorskip("torch")
    packed = np.random.default_rng(0).integers(0, 256, (50, 512), dtype=np.uint8)
    images = dsprites.unpack_torch(torch.from_numpy(packed), "cpu")
    assert images.dtype == torch.float32 and images.shape == (50, 1, 64, 64)
    assert np.array_equal(images.numpy(), dsprites.unpack(packed))
    with pytest.raises(ValueError, match="must be uint8"):
        dsprites.unpack_torch(torch.zeros(2, 512))


def test_importing_it_imports_no_torch():
    code = "import sys, imaetool.data.dsprites as d; d.render([5]); sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
