"""Work in named stages: what each cost, and how the time left is told and corrected."""

import sys

import pytest

from garfield_vae.util import progress
from garfield_vae.util.progress import Stages, clock


def test_every_stage_has_its_processor_and_wall_seconds_in_order():
    with Stages({"think": 1, "rest": 1}) as stage:
        stage("think")
        stage("rest")
    assert list(stage.processor) == list(stage.wall) == ["think", "rest"]
    assert min(*stage.processor.values(), *stage.wall.values()) >= 0


def test_a_stage_that_fails_is_counted_and_the_fault_goes_on():
    stages = Stages({"divide": 1})

    def divide() -> None:
        with stages as stage:
            stage("divide")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        divide()
    assert list(stages.processor) == ["divide"]


def test_the_time_left_is_what_was_expected_and_then_follows_the_pace(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with Stages({"draw": 10, "measure": 20, "write": 30}) as stage:
        stage("draw")
        assert stage.left() == pytest.approx(60)
        now[0] += 4
        assert stage.left() == pytest.approx(56)
        now[0] += 16  # twice as long as expected: the others will take twice as long too
        stage("measure")
        assert stage.left() == pytest.approx(100)
        now[0] += 60  # longer than twice, too: it is taken to be nearly over
        assert stage.left() == pytest.approx(6 + 60)


def test_on_a_terminal_the_bar_tells_the_time_left_from_the_first_moment(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Stages({"draw": 100, "measure": 50}) as stage:
        stage("draw")
        shown = capsys.readouterr().err
    assert "draw" in shown
    assert "about 2:30 left" in shown


def test_off_a_terminal_nothing_is_shown(capsys):
    with Stages({"draw": 100}) as stage:
        stage("draw")
    assert capsys.readouterr().err == ""


def test_a_clock_shows_hours_where_there_are_any():
    assert [clock(s) for s in (-1, 59.6, 3599, 3725)] == ["0:00", "1:00", "59:59", "1:02:05"]
