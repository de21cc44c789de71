"""A model found by its name, after a path and a run; what is said of a name that is nothing."""

import pytest

from imaetool.errors import UserError
from imaetool.zoo import find
from imaetool.zoo.manifest import Model, read_manifest, write_manifest
from tiny_zoo import run


def test_a_packaged_model_is_found_by_name_after_a_path_and_a_run(zoo, packaged, tmp_path):
    path, how = find.find_model("tiny")
    assert path == packaged[0] / "tiny.safetensors" and "packaged" in how
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "model.safetensors").write_bytes(path.read_bytes())
    assert find.find_model("tiny")[0].parts[-3:] == ("runs", "tiny", "model.safetensors")
    assert find.find_model(None) == (find.find_model("tiny")[0], "the newest finished run")


def test_with_no_run_the_packaged_default_is_taken_and_said(zoo):
    path, how = find.find_model(None, "tiny")
    assert path.name == "tiny.safetensors" and "packaged" in how and "no finished run" in how


def test_a_name_that_is_nothing_names_what_there_is(zoo):
    with pytest.raises(UserError, match="no model 'tine'.*tiny"):
        find.find_model("tine")


@pytest.fixture
def no_hub(monkeypatch):
    monkeypatch.setattr("imaetool.zoo.hub.fetch", lambda *_, **__: pytest.fail("the Hub was asked"))


def finished(folder, model):
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(model.read_bytes())


@pytest.mark.parametrize("name, says", [
    ("runs/tiny-9", "no such run 'runs/tiny-9': did you mean 'tiny-1'?"), ("./runs/tiny-9", "no such run './runs/tiny-9'"),
    ("runs/tiny-9/model.safetensors", "no such run"), ("runs/x:y.safetensors", "no such run"), ("tini", "no model 'tini': did you mean 'tiny'?"),
    ("tiny-", "did you mean 'tiny-1'?"), ("zzzz", "no model 'zzzz': give a .safetensors file"),
])  # fmt: skip
def test_a_mistyped_name_says_what_was_meant_and_the_hub_is_not_asked(zoo, packaged, tmp_path, no_hub, name, says):
    finished(tmp_path / "runs" / "tiny-1", packaged[0] / "tiny.safetensors")
    with pytest.raises(UserError) as error:
        find.find_model(name)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_the_zoos_names_are_suggested(tmp_path, monkeypatch, no_hub):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="did you mean 'imae-mnist'\\?"):
        find.find_model("imae-mnst")


def test_a_folder_that_is_no_runs_is_told_as_such(zoo, packaged, tmp_path, no_hub):
    (tmp_path / "photos").mkdir()
    (tmp_path / "some" / "photos").mkdir(parents=True)
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    for name in ("photos", "some/photos"):
        with pytest.raises(UserError, match=f"^{name} is not a run's folder.* imaetool train --data {name}$") as error:
            find.find_model(name)
        assert "--resume" not in str(error.value)
    for name in ("empty", "runs/empty"):
        with pytest.raises(UserError, match="^runs/empty is not a run's folder") as error:
            find.find_model(name)
        assert "--data" not in str(error.value) and "--resume" not in str(error.value)
    (tmp_path / "runs" / "empty" / "checkpoint.safetensors").touch()
    with pytest.raises(UserError, match="imaetool train --resume runs/empty"):
        find.find_model("empty")
    finished(tmp_path / "runs" / "photos", packaged[0] / "tiny.safetensors")
    (tmp_path / "tiny").mkdir()  # such a folder hides neither a run nor a model of the zoo
    assert find.find_model("photos")[0].parts[-3:-1] == ("runs", "photos") and "packaged" in find.find_model("tiny")[1]


def test_a_model_with_a_recipe_alone_says_how_to_train_it(zoo):
    write_manifest(read_manifest() | {"later": Model("later", "recipe only", "jointvae-chairs", "Later.")})
    with pytest.raises(UserError, match="imaetool train --recipe jointvae-chairs"):
        find.find_model("later")
    listed = run("zoo", "list").stdout
    assert "later" in listed and "recipe only" in listed and "tiny" in listed
