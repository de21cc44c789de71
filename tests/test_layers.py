"""The architecture, held: what may import what, and what nobody may import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "imaetool"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the top down; a file may import its own layer and those below it.
LAYERS = [
    ["imaetool.cli", "imaetool.__main__"],
    ["imaetool.zoo"],
    ["imaetool.training.run"],
    ["imaetool.evaluation", "imaetool.encoding"],
    ["imaetool.training", "imaetool.latents"],
    ["imaetool.objectives"],
    ["imaetool.model"],
    ["imaetool.networks", "imaetool.metrics"],
    ["imaetool.information"],
    ["imaetool.data"],
    ["imaetool.images", "imaetool.pictures", "imaetool.pixels", "imaetool.tables"],
    ["imaetool.config", "imaetool.files", "imaetool.registry"],
    ["imaetool.errors"],
]


def module_name(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def layer(name):
    """The index of the layer whose longest prefix fits, or None for the bare package."""
    best = max(
        ((len(prefix), i) for i, layer_ in enumerate(LAYERS) for prefix in layer_ if f"{name}.".startswith(f"{prefix}.")),
        default=None,
    )
    return best and best[1]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downwards(path):
    own = layer(module_name(path))
    for name in imports(path):
        other = layer(name)
        if own is not None and other is not None:
            assert other >= own, f"{module_name(path)} imports {name}, which is above it"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_nobody_unpickles_or_imports_click(path):
    text = path.read_text()
    banned = {"pickle", "dill", "joblib", "click", "shelve", "marshal"}
    assert not banned & {name.partition(".")[0] for name in imports(path)}
    assert "torch.load(" not in text and "torch.save(" not in text
    assert "allow_pickle=True" not in text


@pytest.mark.parametrize("module", ["registry", "config", "errors", "files"])
def test_the_lowest_layer_is_standard_library_only(module):
    for name in imports(PACKAGE / f"{module}.py"):
        top = name.partition(".")[0]
        assert top in sys.stdlib_module_names or top == "imaetool", name


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["recipes", "list"]])
def test_help_imports_no_torch(arguments):
    code = (
        "import sys\nfrom imaetool.__main__ import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as e:\n    assert not e.code, e.code\n"
        "heavy = {'torch', 'numpy', 'torchvision', 'pyarrow', 'sklearn', 'scipy', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 305, "one file, one idea"
