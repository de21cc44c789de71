"""Images by index: the same as the array, without the array."""

import numpy as np
import pytest
import torch

from imaetool.data import Split, dsprites
from imaetool.data.views import ImageRows
from imaetool.training import batches
from imaetool.training.batches import Batches

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 5), dtype=np.uint8)
ROWS = np.array([3, 30, 7, 49, 0, 12])
INDICES = [4, -1, np.int64(2), slice(1, 4), slice(None), slice(None, None, 2), [5, 0, 0], np.array([], int), np.arange(6) % 2 == 0]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing_is_that_of_the_array(index):
    view = ImageRows(IMAGES, ROWS)
    assert np.array_equal(view[index], IMAGES[ROWS][index])
    assert np.array_equal(ImageRows(IMAGES[:6])[index], IMAGES[:6][index])


def test_what_it_tells_of_itself():
    view = ImageRows(IMAGES, ROWS)
    assert view.shape == (6, 3, 4, 5) and len(view) == 6 and view.dtype == np.uint8 and view.nbytes == 6 * 60
    assert np.array_equal(np.asarray(view), IMAGES[ROWS])
    assert np.array_equal(view.select(np.array([True, False] * 3))[:], IMAGES[[3, 7, 0]])
    assert np.array_equal(view.select([5, 1]).select([1])[:], IMAGES[[30]])
    assert ImageRows(IMAGES, ROWS[:0]).shape == (0, 3, 4, 5)
    with pytest.raises(IndexError):
        view[6]


def test_a_split_of_views_reads_nothing():
    class Unread(np.ndarray):
        def __getitem__(self, index):
            assert isinstance(index, slice) and index == slice(None, 1)
            return super().__getitem__(index)

    split = Split(ImageRows(IMAGES.view(Unread)), np.arange(50))
    part = split.select(np.arange(50) < 20)
    assert len(part) == 20 and part.labels.tolist() == list(range(20))


def test_memory_maps_are_not_copied(tmp_path):
    (tmp_path / "pixels").write_bytes(IMAGES.tobytes())
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "c", shape=IMAGES.shape)
    made = Batches(ImageRows(mapped, np.arange(40)), 8, 0, torch.device("cpu"))
    assert np.shares_memory(made._resident.numpy(), mapped)


@pytest.mark.parametrize("limit", [batches._ON_DEVICE, 0])
@pytest.mark.parametrize("packed", [False, True])
def test_batches_are_those_of_the_array(monkeypatch, packed, limit):
    monkeypatch.setattr(batches, "_ON_DEVICE", limit)
    rows = np.array([5, 1, 8, 0, 30, 2, 7])
    if packed:
        bits = np.random.default_rng(0).integers(0, 256, (40, 512), dtype=np.uint8)
        view = ImageRows(bits, rows, decode=lambda b: dsprites.unpack(b) * np.uint8(255), to_float=dsprites.unpack_torch)
    else:
        view = ImageRows(IMAGES, rows)
    plain = Batches(view[:], 3, 0, torch.device("cpu"))
    made = Batches(view, 3, 0, torch.device("cpu"))
    assert len(made) == len(plain) == 2 and made.count == 7
    for x, y in zip(made.epoch(1), plain.epoch(1), strict=True):
        assert x.dtype == torch.float32 and 0 <= x.min() and x.max() <= 1
        assert torch.equal(x, y), "in the shuffled order, wherever the images are kept"


def test_decoded_rows_that_only_numpy_can_decode():
    view = ImageRows(IMAGES[:, 0, 0], decode=lambda rows: np.repeat(rows[:, None, None], 2, axis=2))
    assert view.shape == (50, 1, 2, 5)
    (x,) = Batches(view, 50, 0, torch.device("cpu")).epoch(0)
    assert torch.allclose(
        x.sum(0), torch.from_numpy(view[:]).float().div(255).sum(0)
    )
