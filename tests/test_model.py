"""Autoencoder.encode as anybody may call it: what it takes, what it refuses, and that training does not pay for it."""

import warnings

import numpy as np
import pytest
import torch

import imaetool
from imaetool.config import Latents
from imaetool.model import Autoencoder

SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Autoencoder("mlp-imae", SHAPE, Latents(2, (4,))).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, *SHAPE), np.uint8)


def same(a, b):
    return torch.equal(a.mu, b.mu) and torch.equal(a.log_var, b.log_var) and torch.equal(a.category_logits[0], b.category_logits[0])


def test_floats_in_range_reach_the_network_as_they_are(model, images, monkeypatch):
    x = torch.from_numpy(images).float() / 255
    seen = []
    monkeypatch.setattr(model.encoder, "forward", lambda x, run=model.encoder.forward: seen.append(x) or run(x))
    codes = model.encode(x)
    assert seen[0] is x
    mu, log_var, logits = model.encoder(x)
    assert torch.equal(codes.mu, mu) and torch.equal(codes.category_logits[0], logits)


@pytest.mark.parametrize("given", [
    lambda u: u, torch.from_numpy, lambda u: (u / np.float32(255)).astype(np.float32), lambda u: u.transpose(0, 3, 2, 1).copy().transpose(0, 3, 2, 1),
    lambda u: u[::-1].copy()[::-1], lambda u: (u / np.float32(255)).astype(">f4"),
], ids=["uint8 array", "uint8 tensor", "float32 array", "strides", "negative strides", "big-endian"])  # fmt: skip
def test_arrays_and_uint8_give_the_codes_of_the_float_tensor(model, images, given):
    expected = model.encode(torch.from_numpy(images).float() / 255)
    assert same(model.encode(given(images)), expected)


def test_float64_and_half_are_brought_to_the_model(model, images):
    expected = model.encode(torch.from_numpy(images).float() / 255).mu
    for x in (images / 255, torch.from_numpy(images / 255), torch.from_numpy(images / 255).half(), torch.from_numpy(images / 255).bfloat16()):
        codes = model.encode(x)
        assert codes.mu.dtype == torch.float32
        torch.testing.assert_close(codes.mu, expected, rtol=0, atol=0.02)


def test_an_array_that_may_not_be_written_is_read_without_a_warning(model, images):
    kept = images.copy()
    kept.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(model.encode(kept), model.encode(images))


def test_what_is_given_is_left_as_it_is(model, images):
    tensor, before = torch.from_numpy(images.copy()), images.copy()
    model.encode(tensor)
    model.encode(images)
    assert torch.equal(tensor, torch.from_numpy(before)) and np.array_equal(images, before)


WRONG = {
    "one image": (torch.zeros(SHAPE), r"\(B, 3, 8, 8\), not \(3, 8, 8\)"),
    "height": (torch.zeros(2, 3, 9, 8), r"\(B, 3, 8, 8\), not \(2, 3, 9, 8\)"),
    "width": (np.zeros((2, 3, 8, 9), np.float32), r"not \(2, 3, 8, 9\)"),
    "channels": (torch.zeros(2, 1, 8, 8), r"not \(2, 1, 8, 8\)"),
    "channels last": (np.zeros((2, 8, 8, 3), np.uint8), r"not \(2, 8, 8, 3\)"),
    "flat": (torch.zeros(2, 192), r"not \(2, 192\)"),
    "scalar": (np.array(1.0), r"not \(\)"),
    "0 to 255": (torch.full((1, *SHAPE), 255.0), "not from 255 to 255: divide"),
    "negative": (torch.full((1, *SHAPE), -0.5), "not from -0.5 to -0.5"),
    "negative array": (np.linspace(-1, 1, 192).reshape(1, *SHAPE), "not from -1 to 1"),
    "NaN": (torch.full((1, *SHAPE), float("nan")), "NaN"),
    "infinite": (torch.full((1, *SHAPE), float("inf")), "not from inf to inf"),
    "integers": (torch.zeros(1, *SHAPE, dtype=torch.int64), "not torch.int64"),
    "integer array": (np.zeros((1, *SHAPE), np.int32), "not int32"),
    "booleans": (np.zeros((1, *SHAPE), bool), "not bool"),
    "objects": (np.full((1, *SHAPE), None), "not object"),
    "complex": (torch.zeros(1, *SHAPE, dtype=torch.complex64), "not torch.complex64"),
    "list": ([[1.0]], "not list"),
    "nothing": (None, "not NoneType"),
    "path": ("photo.png", "not str"),
}


@pytest.mark.parametrize("x, says", WRONG.values(), ids=WRONG)
def test_other_images_are_refused_in_one_line(model, x, says):
    for method in (model.encode, model.reconstruct):
        with pytest.raises(imaetool.UserError, match=says) as error:
            method(x)
        assert "\n" not in str(error.value)


def test_rounding_past_the_range_is_forgiven_and_no_image_at_all_is_none(model):
    model.encode(torch.full((1, *SHAPE), 1 + 1e-6))
    assert model.encode(torch.zeros(0, *SHAPE)).mu.shape == (0, 2) == model.encode(np.zeros((0, *SHAPE), np.uint8)).mu.shape


def test_gradients_flow_back_to_the_images(images):
    model = Autoencoder("mlp-imae", SHAPE, Latents(2, (4,))).eval()
    x = (torch.from_numpy(images).float() / 255).requires_grad_()
    model.encode(x).mu.sum().backward()
    assert x.grad.abs().sum() > 0


def test_training_checks_nothing(monkeypatch):
    """VAT and the wider moves leave [0, 1], and the check would cost a pass over each batch."""
    monkeypatch.setattr("imaetool.model._checked", lambda *_: pytest.fail("checked"))
    model = Autoencoder("mlp-imae", SHAPE, Latents(2, (4,))).train()
    x = 3 * torch.rand(8, *SHAPE) - 1
    model(x).predict(x)


def test_half_precision_inside_is_as_it_was(model, images, monkeypatch):
    monkeypatch.setattr(model, "autocast", True)
    x = torch.from_numpy(images).float() / 255
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mu = model.encoder(x)[0].float()
    assert torch.equal(model.encode(x).mu, mu) and torch.equal(model.encode(images).mu, mu)


def test_pictures_in_the_package_go_the_same_way(model, images):
    from imaetool.evaluation.encode import encode_images

    assert same(encode_images(model, images), model.encode(images))
