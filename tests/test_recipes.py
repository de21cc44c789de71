"""Every packaged recipe can be trained as it stands, and says where it is from."""

import math
from pathlib import Path

import pytest
import torch

from imaetool import config as settings, objectives
from imaetool.config import load_recipe, recipe_names
from imaetool.errors import UserError
from imaetool.model import Autoencoder
from imaetool.registry import DATASETS, OBJECTIVES, resolve
from imaetool.training.schedules import at_step, check_schedules

SIZES = {"digits": (1, 8), "mnist": (1, 28), "fashion-mnist": (1, 28), "dsprites": (1, 64), "folder": (3, 64),
         "cifar10": (3, 32), "cifar100": (3, 32), "celeba": (3, 64), "chairs": (3, 64)}

# spec section 4, a line each: recipe, units, categories, learning rate, batch, epochs (None: not given)
LINES = [
    ("imae-dsprites-paper", 10, (3,), 1e-3, None, None),
    ("jointvae-mnist-paper", 10, (10,), 5e-4, 64, 100),
    ("jointvae-fashion-mnist-paper", 10, (10,), 5e-4, 64, 100),
    ("jointvae-chairs", 32, (10,), 1e-4, 64, 100),
    ("jointvae-celeba-paper", 32, (10,), 5e-4, 64, 100),
    ("infomax-vae-mnist-fc", 2, (), 1e-3, None, None),
    ("infomax-vae-mnist-paper", 20, (), 1e-3, None, None),
    ("infomax-vae-fashion-mnist-depth-4", 20, (), 1e-3, None, None),
    ("infomax-vae-fashion-mnist-depth-2", 20, (), 1e-3, None, None),
    ("infomax-vae-mnist-depth-10-paper", 20, (), 1e-3, None, None),
    ("infomax-vae-fashion-mnist-depth-10-paper", 20, (), 1e-3, None, None),
    ("infomax-vae-cifar10", 100, (), 1e-3, None, None),
    ("infomax-vae-cifar100", 100, (), 1e-3, None, None),
    ("infomax-vae-celeba", 100, (), 1e-3, None, None),
    ("vmi-vae-mnist-paper", 16, (10,), None, None, None),
    ("vmi-vae-fashion-mnist-paper", 16, (10,), None, None, None),
    ("vmi-vae-mnist-gaussian", 32, (), None, None, None),
    ("pixel-vae", 2, (), None, None, None),
    ("pixel-infomax-vae", 2, (), None, None, None),
]
WEIGHTS = {
    "jointvae-mnist-paper": {"gamma_z": 30, "gamma_y": 30, "capacity_z": (5, 25_000), "capacity_y": (5, 25_000)},
    "jointvae-fashion-mnist-paper": {"gamma_z": 100, "gamma_y": 100, "capacity_z": (5, 50_000), "capacity_y": (10, 50_000)},
    "jointvae-chairs": {"gamma_z": 300, "gamma_y": 300, "capacity_z": (30, 100_000), "capacity_y": (5, 100_000)},
    "jointvae-celeba-paper": {"gamma_z": 100, "gamma_y": 100, "capacity_z": (50, 100_000), "capacity_y": (10, 100_000)},
    "infomax-vae-mnist-fc": {"alpha": 10, "beta": 1, "critic_lr": 1e-4},
    "infomax-vae-mnist-paper": {"alpha": 20, "beta": 1, "critic_lr": 1e-4},
    "infomax-vae-fashion-mnist-depth-4": {"alpha": 10, "beta": 1, "critic_lr": 1e-4},
    "infomax-vae-cifar10": {"alpha": 10, "beta": 0.1, "critic_lr": 1e-4},
    "infomax-vae-cifar100": {"alpha": 10, "beta": 0.1, "critic_lr": 1e-4},
    "infomax-vae-celeba": {"alpha": 10, "beta": 1, "critic_lr": 1e-4},
}


@pytest.mark.parametrize("name", recipe_names())
def test_recipe_is_whole(name):
    config = load_recipe(name)
    assert config.name == name and config.source
    assert config.data.name in DATASETS
    checked = objectives.check(config.objective)
    check_schedules({k: v for k, v in checked.items() if k != "name"})
    channels, size = SIZES[config.data.name]
    shape = (config.data.channels or channels, *[config.data.size or size] * 2)
    if config.network != "auto":
        with torch.device("meta"):
            model = Autoencoder(config.network, shape, config.latents)
        assert model.autoregressive == config.data.binarize, "a PixelCNN models binary images"
    declared = objectives.critic(config.objective["name"])
    if declared:
        first = at_step({k: v for k, v in checked.items() if k != "name"}, 0)
        with torch.device("meta"):
            declared[0](shape, config.latents, **objectives.accepted(declared[0], first))


@pytest.mark.parametrize("name, units, categories, lr, batch, epochs", LINES, ids=[line[0] for line in LINES])
def test_recipe_has_the_papers_settings(name, units, categories, lr, batch, epochs):
    config = load_recipe(name)
    assert config.latents.continuous == units and config.latents.categories == categories
    assert config.training.optimizer == "adam"
    for wanted, found in ((lr, config.training.lr), (batch, config.training.batch_size), (epochs, config.training.epochs)):
        assert wanted is None or found == wanted
    for key, value in WEIGHTS.get(name, {}).items():
        found = config.objective[key]
        assert found == (dict(start=0.0, end=value[0], iterations=value[1]) if isinstance(value, tuple) else value), key


@pytest.mark.parametrize("base", ["jointvae-mnist", "vmi-vae-mnist", "vmi-vae-fashion-mnist", "jointvae-fashion-mnist", "jointvae-celeba", "imae-dsprites", "infomax-vae-mnist",
                                  "infomax-vae-mnist-depth-10", "infomax-vae-fashion-mnist-depth-10"])
def test_a_better_recipe_keeps_the_papers_beside_it(base):
    ours, paper = load_recipe(base), load_recipe(f"{base}-paper")
    assert ours.source.startswith("ours") and not paper.source.startswith("ours")
    assert ours.objective["name"] == paper.objective["name"]


@pytest.mark.parametrize("objective", ["imae", "jointvae", "infomax-vae", "vmi-vae"])
@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "dsprites", "celeba", "cifar10"])
def test_every_method_has_a_recipe_for_every_dataset(objective, data):
    config = load_recipe(f"{objective}-{data}")
    assert config.objective["name"] == objective and config.data.name == data


@pytest.mark.parametrize("objective", ["vae", "beta-vae", "beta-tcvae", "infovae"])
@pytest.mark.parametrize("data", ["mnist", "fashion-mnist", "dsprites", "celeba", "cifar10"])
def test_baselines_are_there(objective, data):
    config = load_recipe(f"{objective}-{data}")
    assert config.objective["name"] == objective and config.data.name == data


def test_every_objective_has_a_recipe():
    assert {load_recipe(name).objective["name"] for name in recipe_names()} == set(OBJECTIVES)


def test_recipe_files_hold_nothing_that_is_not_read():
    """A recipe read and written back says all that its file says."""
    import tomllib

    for path in Path(settings.__file__).with_name("recipes").glob("*.toml"):
        values = tomllib.loads(path.read_text())
        whole = settings.to_dict(load_recipe(path.stem))
        for key, value in values.items():
            if isinstance(value, dict):
                assert value == {k: whole[key][k] for k in value}, path.name
            else:
                assert whole[key] == value, path.name


def test_jointvae_capacity_schedule_ends_at_its_cap_in_the_loss():
    config = load_recipe("jointvae-fashion-mnist-paper")
    late = at_step({k: v for k, v in config.objective.items() if k != "name"}, 10**6)
    assert late["capacity_y"] == 10.0 > math.log(10)  # the loss caps it: tests/test_objectives.py
    assert resolve("objective", "jointvae") is objectives.function("jointvae")


def test_schedules_are_lines_through_their_points():
    line, points = {"start": 0.0, "end": 5.0, "iterations": 10}, {"at": [2, 4, 5], "values": [6.0, 8.0, 20.0]}
    assert [at_step({"g": line}, s)["g"] for s in (0, 4, 10, 99)] == [0.0, 2.0, 5.0, 5.0]
    assert [at_step({"g": points}, s)["g"] for s in (0, 2, 3, 4, 5, 99)] == [6.0, 6.0, 7.0, 8.0, 20.0, 20.0]
    assert at_step({"g": {"at": [3], "values": [2.0]}}, 0) == {"g": 2.0}


@pytest.mark.parametrize("table", [
    {"start": 0.0, "end": 5.0}, {"start": 0.0, "end": "x", "iterations": 5}, {"start": 0.0, "end": 1.0, "iterations": 0},
    {"at": [0, 5], "values": [1.0]}, {"at": [], "values": []}, {"at": [5, 5], "values": [1.0, 2.0]},
    {"at": [-1, 5], "values": [1.0, 2.0]}, {"at": 3, "values": 4.0}, {"at": [0, 1], "values": ["a", "b"]},
])
def test_a_table_that_is_no_schedule_is_one_line(table):
    with pytest.raises(UserError, match="gamma = .* a schedule is"):
        check_schedules({"gamma": table})
