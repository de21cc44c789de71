"""imaetool train, run as a user runs it: what it prints and writes, its flags, resuming."""

import json

from commands import run


def test_train_prints_figures_and_files(tmp_path):
    done = run("train", "--epochs", 2, "--restarts", 1, "--device", "cpu", cwd=tmp_path)
    assert "epoch 2/2" in done.stderr and "images/s" in done.stderr and "TC" in done.stderr
    assert "test accuracy" in done.stdout and "units by I(x;z)" in done.stdout
    for name in ("model.safetensors", "config.toml", "history.csv", "samples.png", "traversals.png"):
        assert f"runs/imae-digits-1/{name}" in done.stdout
        assert (tmp_path / "runs/imae-digits-1" / name).stat().st_size > 0


def test_train_json_and_every_flag(tmp_path):
    done = run(
        "train", "--json", "--restarts", 1, "--data", "digits", "--objective", "imae", "--network", "mlp-imae", "--latents", 4, "--categories", 5,
        "--epochs", 1, "--batch-size", 64, "--lr", "1e-3", "--beta", 2, "--gamma", 3, "--seed", 7, "--device", "cpu", "--precision",
        "fp32", "--output", "out", "--set", "temperature=0.5", "--set", "objective.entropy=2", "--size", 12, "--channels", 3, cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert found["run"] == "out" and len(found["units"]) == 4 and found["figures"]["n"] > 100
    import tomllib

    config = tomllib.loads((tmp_path / "out/config.toml").read_text())
    assert config["objective"]["beta"] == 2.0 and config["objective"]["entropy"] == 2.0
    assert config["latents"] == {"continuous": 4, "categories": [5], "temperature": 0.5, "detach_categories": True}
    assert (config["data"]["size"], config["data"]["channels"]) == (12, 3)


def test_train_takes_its_images_without_a_flag(work):
    done = run("train", "images", "--epochs", 1, "--set", "least_steps=0", "--restarts", 1, "--device", "cpu", "--output", "out", cwd=work)
    assert "training imae on images" in done.stderr and (work / "out/model.safetensors").is_file()
    assert "give one" in run("train", "images", "--data", "digits", cwd=work, code=2).stderr
    assert "nosuch/: no such folder" in run("train", "nosuch/", cwd=work, code=1).stderr


def test_train_resume_from_the_command_line(tmp_path):
    run("train", "--epochs", 1, "--restarts", 1, "--device", "cpu", "--output", "runs/a", cwd=tmp_path)
    done = run("train", "--resume", "runs/a", "--epochs", 2, cwd=tmp_path)
    assert "epoch 2/2" in done.stderr and "epoch 1/" not in done.stderr
    (tmp_path / "runs/a/model.safetensors").unlink()
    done = run("train", "--resume", "--epochs", 3, cwd=tmp_path)
    assert "resuming runs/a" in done.stderr and "epoch 3/3" in done.stderr


def test_starts_are_not_tried_for_longer_than_the_run_is_to_be(tmp_path):
    done = run("train", "--epochs", 1, "--restarts", 2, "--device", "cpu", "--output", "out", cwd=tmp_path)
    assert "restart_epochs = 1\n" in (tmp_path / "out" / "config.toml").read_text() and "for 12 epochs" not in done.stderr
