"""The command line on what others made: models, pictures and names from elsewhere, few images, folders that moved."""

import json

import pytest

from commands import run


def test_eval_leaves_out_what_does_not_apply_unless_it_is_all_that_was_asked_for(work):
    done = run("eval", "--metric", "mig", "--metric", "reconstruction", "--json", cwd=work)
    assert {r["metric"] for r in json.loads(done.stdout)["results"]} == {"reconstruction"}
    assert list(json.loads(done.stdout)["left_out"]) == ["mig"]
    assert "factors" in run("eval", "--metric", "mig", "--data", "digits", cwd=work, code=1).stderr


def test_a_model_file_from_elsewhere_chooses_no_path_here(work, tmp_path):
    from dataclasses import replace

    import imaetool
    from imaetool.training import checkpoint

    model = imaetool.load(work / "runs/imae-digits-1/model.safetensors")
    secret = tmp_path / "secret.csv"
    secret.write_text("a line of it")
    for data in (replace(model.config.data, name="folder", root=str(work / "images")),
                 replace(model.config.data, name="mnist", root=str(tmp_path / "made" / "here")),
                 replace(model.config.data, labels=str(secret), root=str(work / "images"), name="folder")):
        checkpoint.save_model(tmp_path / "odd.safetensors", model, replace(model.config, data=data), {})
        done = run("eval", "--model", tmp_path / "odd.safetensors", "--metric", "active-units", cwd=work, code=1, IMAETOOL_OFFLINE="1",
                   IMAETOOL_DATA=str(tmp_path / "empty"))
        assert "a line of it" not in done.stderr
    assert not (tmp_path / "made").exists()


def test_few_images_and_foreign_ones_are_warned_of(work):
    from PIL import Image

    (work / "few").mkdir()
    for i in range(12):
        Image.effect_noise((8, 8), 90 + i).save(work / "few" / f"{i}.png")
    told = run("eval", "--metric", "reconstruction", "--split", "train", "--data", "few", cwd=work).stderr
    assert "are few" in told and "unlike those" in told
    assert "warning" not in run("eval", "--metric", "reconstruction", cwd=work).stderr


def test_names_that_would_act_on_a_terminal_are_written_out(work):
    from PIL import Image

    for label in ("a\x1b]0;owned\x07", "b"):
        (work / "classes" / label).mkdir(parents=True)
        for i in range(6):
            Image.effect_noise((8, 8), 90 + i).save(work / "classes" / label / f"{i}.png")
    shown = [run("data", "info", "classes", cwd=work), run("eval", "--model", "gone\x1b[31m", cwd=work, code=1),
             run("eval", "--metric", "reconstruction", "--data", "classes", "--split", "train", cwd=work)]
    assert not any("\x1b]0" in d.stdout + d.stderr or "\x1b[31m" in d.stdout + d.stderr for d in shown)
    assert "\\x1b]0;owned" in shown[0].stdout


def test_a_few_pictures_are_trained_on_long_enough(work):
    """Batches of an eighth of them, and epochs up to the recipe's steps; a length that is asked for stays."""
    from imaetool.config import apply, load_recipe
    from imaetool.training.run import _for_few_images

    recipe = load_recipe("imae-folder")
    few, many = _for_few_images(recipe, 40).training, _for_few_images(recipe, 100_000).training
    assert few.batch_size == 5 and few.epochs * 8 >= recipe.training.least_steps > (few.epochs - 1) * 8
    assert few.lr_decay**few.epochs == pytest.approx(recipe.training.lr_decay**recipe.training.epochs)
    assert (many.batch_size, many.epochs, many.lr_decay) == (256, recipe.training.epochs, recipe.training.lr_decay)
    given = apply(recipe, {"training.least_steps": 0, "training.epochs": 3})
    assert _for_few_images(given, 40) == given


def test_invert_reads_pictures_with_dark_and_light_exchanged(work):
    from PIL import Image, ImageOps

    picture = Image.effect_noise((8, 8), 90)
    picture.save(work / "light.png")
    ImageOps.invert(picture).save(work / "dark.png")
    plain, inverted = (run("encode", *a, "-o", "-", cwd=work).stdout for a in (["light.png"], ["dark.png", "--invert"]))
    assert json.loads(plain)["mu"] == json.loads(inverted)["mu"] != json.loads(run("encode", "dark.png", "-o", "-", cwd=work).stdout)["mu"]


def test_a_run_on_a_folder_finds_it_from_elsewhere(tmp_path):
    from imaetool.cli.evaluate import _folder_of
    from imaetool.config import Data

    (tmp_path / "images").mkdir()
    run_file = tmp_path / "runs" / "mine" / "model.safetensors"
    assert _folder_of(run_file, Data(name="folder", root="images")).root == str(tmp_path.resolve() / "images")
    assert _folder_of(run_file, Data(name="folder", root="gone")).root == "gone"
    assert _folder_of(run_file, Data(name="mnist", root="images")).root == "images"
