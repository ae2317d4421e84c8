"""metrics.csv: read strictly to go on with it, leniently to show it."""

import pytest

from garfield_vae.util.errors import UserError
from garfield_vae.util.metrics_table import read_metrics, read_rows


def test_figures_are_numbers_without_empty_and_infinite_cells(tmp_path):
    text = "epoch,step,train/rate,validation/rate\n1,10,2.5,\n2,20,nan,3e1\n"
    (tmp_path / "metrics.csv").write_text(text, encoding="utf-8")
    assert read_metrics(tmp_path) == [
        {"epoch": 1.0, "step": 10.0, "train/rate": 2.5},
        {"epoch": 2.0, "step": 20.0, "validation/rate": 30.0},
    ]
    assert read_rows(tmp_path / "metrics.csv")[0]["validation/rate"] == ""


@pytest.mark.parametrize(
    "text", ["epoch,a\n1\n", "a\n1\n", "epoch\n0\n", "epoch\nx\n", f"epoch\n{'9' * 400}\n", '"\n']
)
def test_a_table_without_a_row_an_epoch_is_told_or_passed_over(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text, encoding="utf-8")
    assert read_metrics(tmp_path) == []
    if text != '"\n':  # an empty column name and no rows
        with pytest.raises(UserError, match="damaged"):
            read_rows(path)


def test_no_table_has_no_figures_and_cannot_be_read(tmp_path):
    assert read_metrics(tmp_path) == []
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(tmp_path / "metrics.csv")
