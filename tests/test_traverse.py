"""imaetool traverse: which pictures it draws, and under which names."""

import shutil

import numpy as np
import pytest
from PIL import Image

from commands import one_line, run


@pytest.fixture
def work(run_folder, tmp_path):
    """A folder with a finished run and two pictures."""
    from sklearn.datasets import load_digits

    shutil.copytree(run_folder, tmp_path / "runs" / "imae-digits-1")
    for name, digit in zip(("a.png", "b.png"), load_digits().images):
        Image.fromarray((digit * 255 / 16).round().astype(np.uint8)).save(tmp_path / name)
    return tmp_path


def kind(path):
    with Image.open(path) as image:
        return image.format


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def sheets_of(monkeypatch):
    """What is drawn: the arguments of grid, call by call."""
    import imaetool.pictures as pictures

    calls, grid = [], pictures.grid
    monkeypatch.setattr(pictures, "grid", lambda images, **texts: calls.append((images, texts)) or grid(images, **texts))
    return calls


def test_every_unit_of_every_picture_is_drawn(work, monkeypatch):
    calls = sheets_of(monkeypatch)
    for name in "ab":
        run("traverse", "--image", f"{name}.png", "--steps", 3, "-o", f"one-{name}.png", cwd=work)
    run("traverse", "--image", "a.png", "--image", "b.png", "--steps", 3, "-o", "both.png", cwd=work)
    (a, texts_a), (b, _), (both, texts) = calls
    assert a.shape == (10, 3, 1, 8, 8) and not np.allclose(a, b)
    assert np.allclose(both, np.concatenate([a, b]), atol=1e-5)  # encoded two at a time, the last bit may differ
    units = texts_a["row_labels"]
    assert units[0].startswith("unit ") and texts_a["title"] == "every unit, from a.png"
    assert texts["row_labels"] == [f"{name}.png, {unit}" for name in "ab" for unit in units]
    assert texts["row_notes"] == texts_a["row_notes"] * 2 and texts["title"] == "every unit, from each picture"
    assert pixels(work / "both.png").shape[0] > 1.8 * pixels(work / "one-a.png").shape[0]


def test_chosen_units_are_drawn_in_the_order_given(work, monkeypatch):
    calls = sheets_of(monkeypatch)
    run("traverse", "--image", "a.png", "--steps", 3, cwd=work)
    assert "traverse-units-7-2.png" in run("traverse", "--image", "a.png", "--unit", "7,2,7", "--steps", 3, cwd=work).stdout
    (every, texts_every), (some, texts) = calls
    where = [texts_every["row_labels"].index(label) for label in texts["row_labels"]]
    assert texts["row_labels"] == ["unit 7", "unit 2"] and np.allclose(some, every[where], atol=1e-6)
    assert texts["row_notes"] == [texts_every["row_notes"][i] for i in where] and texts["title"] == "units 7, 2, from a.png"
    assert "units 0 to 9" in run("traverse", "--unit", "3,10", cwd=work, code=1).stderr


def test_a_frame_of_several_pictures_has_a_row_for_each(work, monkeypatch):
    calls = sheets_of(monkeypatch)
    run("traverse", "--image", "a.png", "--image", "b.png", "--steps", 3, "--gif", "-o", "both.png", cwd=work)
    (still, _), *frames = calls
    assert len(frames) == 3
    for i, (frame, texts) in enumerate(frames):
        assert np.array_equal(frame, still[:, i].reshape(2, 10, 1, 8, 8))
        assert texts["row_labels"] == ["a.png", "b.png"] and len(texts["column_labels"]) == 10
    assert Image.open(work / "both.gif").n_frames == 4


def test_without_pictures_every_unit_is_swept_from_one_code_and_one_unit_from_all(work, monkeypatch):
    calls = sheets_of(monkeypatch)
    run("traverse", "--steps", 3, "--gif", cwd=work)
    run("traverse", "--unit", 3, "--steps", 2, cwd=work)
    assert calls[0][1]["title"] == "every unit, from category 0" and calls[0][0].shape[0] == 10
    assert calls[1][0].shape == (1, 10, 1, 8, 8) and calls[1][1]["row_labels"] is None
    assert calls[-1][1]["row_labels"] == [f"category {c}" for c in range(10)] and not calls[-1][1]["row_notes"]


@pytest.mark.parametrize("name", ["x.gif", "x.png", "x.GIF"])
def test_with_gif_there_is_a_still_and_an_animation(work, name):
    done = run("traverse", "--unit", 3, "--steps", 3, "--gif", "-o", name, cwd=work)
    still, moving = done.stdout.split()
    assert (still, moving) == ("x.png", name if name.lower().endswith("gif") else "x.gif")
    assert kind(work / still) == "PNG" and kind(work / moving) == "GIF"


@pytest.mark.parametrize("name, flags, says", [
    ("t.jpg", [], "must end in .png"), ("x.txt", [], "must end in .png"), ("x", [], "must end in .png"), ("x.gif", [], "--gif writes an animation"),
    ("t.jpg", ["--gif"], "must end in .png or .gif"),
])  # fmt: skip
def test_a_name_of_another_kind_is_refused_before_any_work(work, name, flags, says):
    before = sorted(work.iterdir())
    done = run("traverse", "--unit", 3, "-o", name, *flags, cwd=work, code=1)
    assert says in one_line(done) and name in one_line(done) and "model:" not in done.stderr
    assert sorted(work.iterdir()) == before


def test_a_picture_that_is_read_is_not_written_over(work):
    before = (work / "a.png").read_bytes()
    for arguments in (["-o", "a.png"], ["-o", "a.gif", "--gif"], ["-o", "./a.png", "--gif"]):
        assert "one of the pictures given" in one_line(run("traverse", "--image", "a.png", *arguments, cwd=work, code=1))
    assert (work / "a.png").read_bytes() == before


def test_edit_writes_no_png_under_another_name(work):
    assert "must end in .png" in one_line(run("edit", "a.png", "--category", 1, "-o", "e.jpg", cwd=work, code=1))
    assert not (work / "e.jpg").exists()


def test_a_runs_picture_keeps_to_its_most_informative_units(monkeypatch):
    from imaetool.config import Latents
    from imaetool.evaluation import pictures as drawn
    from imaetool.model import Autoencoder

    calls, grid = [], drawn.grid
    monkeypatch.setattr(drawn, "grid", lambda images, **texts: calls.append((images, texts)) or grid(images, **texts))
    model = Autoencoder("mlp-imae", (1, 8, 8), Latents(50, ())).eval()
    drawn.draw_traversals(model, {"unit_information": [float(k) for k in range(50)]}, steps=2)
    drawn.draw_samples(model, 0)
    (images, texts), (_, sampled) = calls
    assert len(images) == 40 and texts["row_labels"][0] == "unit 49" and texts["title"] == "The 40 most informative units of 50"
    assert sampled["title"] == "Samples: z from the prior"


@pytest.mark.parametrize("bounds, steps, heads", [
    ("-2,2", 11, ["-2.0", "-1.6"]), ("-2,2", 201, ["-2.00", "-1.98"]), ("-0.001,0.001", 3, ["-0.001", "+0.000"]), ("-3,3", 9, ["-3.00", "-2.25"]),
])
def test_columns_have_as_many_decimals_as_tell_them_apart(work, monkeypatch, bounds, steps, heads):
    calls = sheets_of(monkeypatch)
    run("traverse", "--unit", 2, f"--range={bounds}", "--steps", steps, "-o", "t.png", cwd=work)
    found = calls[0][1]["column_labels"]
    assert found[:2] == heads and len(set(found)) == steps
