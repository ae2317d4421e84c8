"""One picture under two days: both are in doubt, a later run mends it, true reruns can be had."""

from comic_site import asset, body, picture
from downloading import BAD, BAD_PATH, NAMES, START, WEEK, WITHOUT_BAD, record, run, there

NEXT = WEEK[3]
LATER = "/comics/ga/1985/ga850315.gif"


def statuses(folder) -> dict[str, str]:
    return {day[-2:]: line["status"] for day, line in record(folder).items()}


def test_a_picture_of_two_days_puts_both_in_doubt(site, tmp_path):
    site.fail(BAD_PATH, body(picture(NEXT)))
    report = run(site, tmp_path)
    assert statuses(tmp_path) == {
        **dict.fromkeys(["11", "12", "15", "16"], "ok"),
        **dict.fromkeys(["13", "14"], "error"),
    }
    assert there(tmp_path) == [name for name in NAMES if name[8:10] not in ("13", "14")]
    assert (report.there, report.fetched) == (4, 4)
    assert (tmp_path / "set-aside" / f"{BAD}.gif").read_bytes() == picture(NEXT)
    assert f"stands under {BAD}: both are in doubt" in report.problems[NEXT]


def test_a_mix_up_that_happened_once_is_mended_by_the_next_run(site, tmp_path):
    site.fail(BAD_PATH, body(picture(NEXT)), times=1)
    run(site, tmp_path)
    run(site, tmp_path)
    assert there(tmp_path) == NAMES
    for day in (BAD, NEXT):
        assert (tmp_path / f"strips/1985/{day}.gif").read_bytes() == picture(day)


def test_a_doubted_day_is_asked_for_at_another_site_first(site, tmp_path):
    """uclick always has the 14th's strip on the 13th; gocomics has the right one."""
    site.fail(BAD_PATH, body(picture(NEXT)))
    run(site, tmp_path, "uclick")
    run(site, tmp_path, "uclick", "gocomics")
    assert there(tmp_path) == NAMES
    assert (tmp_path / f"strips/1985/{BAD}.gif").read_bytes() == picture(BAD)
    assert record(tmp_path)[f"{BAD}"]["source"] == "gocomics"


def test_another_site_has_the_second_of_the_two_days_at_once(site, tmp_path):
    site.fail(LATER, body(picture(START)))
    run(site, tmp_path, "uclick", "gocomics")
    assert record(tmp_path)["1985-03-15"]["source"] == "gocomics"
    assert asset(WEEK[4]) in record(tmp_path)["1985-03-15"]["url"]


def test_a_true_rerun_is_kept_when_a_later_run_finds_it_again(site, tmp_path):
    site.fail(LATER, body(picture(START)))
    run(site, tmp_path)
    assert statuses(tmp_path)["11"] == statuses(tmp_path)["15"] == "error"
    run(site, tmp_path)
    assert there(tmp_path) == NAMES
    asked = list(site.log)
    assert run(site, tmp_path).there == 6
    assert site.log == asked


def test_a_third_day_casts_no_doubt_on_a_rerun_and_is_not_kept(site, tmp_path):
    site.fail(LATER, body(picture(START)))
    run(site, tmp_path)
    run(site, tmp_path)
    (tmp_path / f"strips/1985/{BAD}.gif").unlink()
    site.fail(BAD_PATH, body(picture(START)))
    for _ in range(2):
        run(site, tmp_path)
        assert there(tmp_path) == WITHOUT_BAD


def test_a_placeholder_of_many_days_is_never_kept(site, tmp_path):
    site.fail("/comics/ga/1985/", body(picture(START)))
    for _ in range(3):
        assert run(site, tmp_path).there == 0
    assert there(tmp_path) == []
    site.fail("/comics/ga/1985/", body(picture(START)), times=0)
    run(site, tmp_path)  # the day whose picture it is is asked for first, while others claim it
    run(site, tmp_path)
    assert there(tmp_path) == NAMES


def test_reruns_on_disk_without_a_record_are_taken_up_once_the_site_confirms_them(site, tmp_path):
    site.fail(LATER, body(picture(START)))
    run(site, tmp_path)
    run(site, tmp_path)
    (tmp_path / "manifest.jsonl").unlink()
    assert run(site, tmp_path).there == 6
    assert there(tmp_path) == NAMES
