"""Labels and factors from CSV files."""

import numpy as np
import pytest

from imaetool.data.labels import read_factors, read_labels
from imaetool.errors import UserError

IMAGES = ("a/1.png", "a/2.png", "b/3.png")


def table(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("text", [
    "a/1.png,cat\na/2.png,dog\nb/3.png,cat\n",
    "path,label\nb/3.png,cat\na/2.png,dog\na/1.png,cat\n",
    "\ufeffFile, label\n./a/1.png, cat\n\na\\2.png,dog\n3.png,cat\n",
])  # fmt: skip
def test_labels(tmp_path, text):
    labels, names, note = read_labels(table(tmp_path, text), IMAGES)
    assert labels.dtype == np.int64 and labels.tolist() == [0, 1, 0] and names == ("cat", "dog") and note == ""


def test_numbers_are_in_order_of_size(tmp_path):
    labels, names, _ = read_labels(table(tmp_path, "1.png,10\n2.png,9\n3.png,10"), IMAGES)
    assert labels.tolist() == [1, 0, 1] and names == ("9", "10")


def test_lines_that_name_no_image_are_told(tmp_path):
    *_, note = read_labels(table(tmp_path, "1.png,a\n2.png,a\n3.png,b\n4.png,b\n5.png,b"), IMAGES)
    assert "2 lines name no image" in note


def test_factors(tmp_path):
    text = "path,angle,kind\n1.png,0.5,round\n2.png,-2,square\n3.png,0.5,round"
    factors, names, values, note = read_factors(table(tmp_path, text), IMAGES)
    assert factors.tolist() == [[1, 0], [0, 1], [1, 0]] and factors.dtype == np.int64
    assert names == ("angle", "kind") and values[0].tolist() == [-2, 0.5] and values[1].tolist() == ["round", "square"]
    assert note == ""


@pytest.mark.parametrize("text, message", [
    ("1.png,a\n2.png,b", "no line for 1 of 3 images, the first: b/3.png"),
    ("x.png,a", "no line for 3 of 3 images"),
    ("1.png,a\n2.png\n3.png,b", "line 2: 2 values are needed, and it has 1"),
    ("1.png,a\n2.png,\n3.png,b", "line 2: 2 values are needed"),
    ("1.png,a\n1.png,b", "line 2: 1.png was already given other values"),
    ("", "no line for 3 of 3"),
])  # fmt: skip
def test_tables_that_do_not_fit(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as error:
        read_labels(table(tmp_path, text), IMAGES)
    assert "\n" not in str(error.value)


def test_other_mistakes(tmp_path):
    with pytest.raises(UserError, match="cannot read .*: no such file"):
        read_labels(str(tmp_path / "none.csv"), IMAGES)
    with pytest.raises(UserError, match="first line must name the columns"):
        read_factors(table(tmp_path, "1.png,2,3"), IMAGES)
    with pytest.raises(UserError, match="its own name"):
        read_factors(table(tmp_path, "path,a,a\n1.png,2,3"), IMAGES)


def test_names_that_occur_in_two_folders_need_their_folder(tmp_path):
    with pytest.raises(UserError, match="no line for 2"):
        read_labels(table(tmp_path, "1.png,a"), ("a/1.png", "b/1.png"))
