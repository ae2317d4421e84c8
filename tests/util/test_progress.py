"""Work in named stages: what each of them cost is kept by its name."""

import pytest

from garfield_vae.util.progress import Stages


def test_every_stage_has_its_processor_and_wall_seconds_in_order():
    with Stages(2) as stage:
        stage("think")
        stage("rest")
    assert list(stage.processor) == list(stage.wall) == ["think", "rest"]
    assert min(*stage.processor.values(), *stage.wall.values()) >= 0


def test_a_stage_that_fails_is_counted_and_the_fault_goes_on():
    stages = Stages(3)

    def divide() -> None:
        with stages as stage:
            stage("divide")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        divide()
    assert list(stages.processor) == ["divide"]
