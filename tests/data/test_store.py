import hashlib
import pickle
from datetime import date, timedelta

import numpy as np
import pytest
from strip_pictures import encoded, save_strips, strip_picture

from garfield_vae.data.build import build_store
from garfield_vae.data.splits import iso_date, linked, split_rows
from garfield_vae.data.store import Rows, week_of
from garfield_vae.util.errors import UserError


def split_names(names: list[str]) -> dict[str, np.ndarray]:
    return split_rows([week_of(name) for name in names], names)[0]


YEARS = [str(date(1979, 1, 1) + timedelta(day)) for day in range(20 * 365)]


def test_the_three_splits_share_all_rows_among_them():
    splits = split_names(YEARS)
    rows = np.concatenate([splits[name] for name in ("train", "validation", "test")])
    assert sorted(rows) == list(range(len(YEARS)))
    assert all(split.dtype == np.int64 and (np.diff(split) > 0).all() for split in splits.values())


def test_about_a_twentieth_is_for_validation_and_for_test():
    splits = split_names(YEARS)
    # 1,043 weeks: one standard deviation of a twentieth is 0.7 %
    assert splits["validation"].size / len(YEARS) == pytest.approx(0.05, abs=0.02)
    assert splits["test"].size / len(YEARS) == pytest.approx(0.05, abs=0.02)


def test_the_split_is_the_documented_hash_of_the_iso_week():
    splits = split_names(YEARS)
    for name, low, high in (("test", 0, 0.05), ("validation", 0.05, 0.1), ("train", 0.1, 1)):
        for row in splits[name][::40]:
            year, week, _ = date.fromisoformat(YEARS[row]).isocalendar()
            digest = hashlib.sha256(f"{year}-W{week:02d}".encode()).hexdigest()
            assert low <= int(digest[:16], 16) / 16**16 < high


def test_a_week_is_never_divided_even_across_a_new_year():
    splits = split_names(YEARS)
    for monday in (date(1984, 12, 31), date(1985, 3, 11), date(1992, 12, 28)):
        rows = {YEARS.index(str(monday + timedelta(day))) for day in range(7)}
        assert sum(bool(rows & set(split.tolist())) for split in splits.values()) == 1


def test_strips_that_are_added_move_no_other():
    fewer = YEARS[::2]
    before, after = split_names(fewer), split_names(YEARS)
    for name in ("train", "validation", "test"):
        assert {fewer[row] for row in before[name]} <= {YEARS[row] for row in after[name]}


@pytest.mark.parametrize("year", range(1980, 2010))
def test_twenty_strips_in_a_row_fill_every_split(year):
    days = [str(date(year, 1, 1) + timedelta(day)) for day in range(20)]
    assert all(len(split) > 0 for split in split_names(days).values())


def test_names_without_dates_are_split_one_by_one():
    splits = split_names(sorted(f"panel {number}" for number in range(1000)))
    assert 900 - 50 < len(splits["train"]) < 900 + 50
    assert len(split_names([f"strange \udcff{n}" for n in range(20)])["train"]) >= 10


def test_groups_that_a_pair_links_are_one_and_take_the_first_name_or_the_one_they_had():
    groups = ["a", "b", "c", "d", "e"]
    assert linked(groups, [(3, 1), (1, 4)]) == ["a", "b", "c", "b", "b"]
    assert linked(groups, [(3, 1)], [None, None, None, "d", None]) == ["a", "d", "c", "d", "e"]
    assert linked(groups, [], ["x", None, None, None, None]) == groups


def test_weeks_are_divided_only_where_whole_ones_would_leave_too_few_for_training():
    few = [str(date(2001, 1, 1) + timedelta(day)) for day in range(20)]
    many = [str(date(2001, 1, 1) + timedelta(day)) for day in range(400)]
    assert split_rows([week_of(name) for name in few], few)[1] is False
    assert split_rows([week_of(name) for name in many], many)[1] is True


def test_only_real_days_in_the_iso_form_are_dates():
    assert iso_date("1985-03-12") == date(1985, 3, 12)
    for name in (
        "1985-02-30",
        "19850312",
        "1985-W03-1",
        "a/1985-03-12",
        "1985-03-12b",
        "١٩٨٥-03-12",
    ):
        assert iso_date(name) is None


def test_a_store_goes_to_another_process_as_its_path(tmp_path):
    save_strips(tmp_path / "strips", 20)
    store = build_store(tmp_path / "strips", tmp_path)
    packed = pickle.dumps(store)
    assert len(packed) < 1000
    assert (pickle.loads(packed).panels == store.panels).all()
    (tmp_path / "strips" / "2005-01-01.gif").write_bytes(encoded(strip_picture(), "GIF"))
    build_store(tmp_path / "strips", tmp_path)
    with pytest.raises(UserError, match="rebuilt while it was in use"):
        pickle.loads(packed)


def test_a_strip_is_of_its_iso_week_and_one_without_a_date_of_its_own():
    names = ["1985-01-06", "1985-01-07", "1985-01-08", "a strip"]  # a Sunday, Monday, Tuesday
    assert [week_of(name) for name in names] == ["1985-W01", "1985-W02", "1985-W02", "a strip"]


def test_rows_are_read_and_transformed_when_indexed():
    rows = Rows(np.arange(10)[:, None], np.array([7, 2, 5]), lambda some: 10 * some)
    assert len(rows) == 3
    assert rows[1:].tolist() == [[20], [50]]
