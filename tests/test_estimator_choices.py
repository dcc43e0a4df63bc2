"""The classifier's words become configurations of methods."""

import pytest

from mtbkd import MTBKDClassifier
from mtbkd.errors import InputError
from mtbkd.estimator_choices import Choices
from mtbkd.inference import MAPConfig
from mtbkd.priors.dirichlet_mixture import DirichletMixtureConfig
from mtbkd.priors.dirichlet_product import DirichletProductConfig
from mtbkd.temperature.fixed import FixedConfig
from mtbkd.weighting.best import BestConfig
from mtbkd.weighting.entropy_softmax import EntropySoftmaxConfig


def choices(**parameters) -> Choices:
    return Choices.of(MTBKDClassifier(**parameters).get_params(deep=False))


def test_names_and_configurations_are_both_choices():
    found = choices(
        weighting=EntropySoftmaxConfig(2.0), prior="dirichlet_product", concentration=3.0, inference="map"
    )
    assert found.weighting == EntropySoftmaxConfig(2.0)
    assert found.prior == DirichletProductConfig(concentration=3.0)
    assert found.inference == MAPConfig()
    assert found.temperature == FixedConfig()
    assert choices(weighting="best", normalize="peak").weighting == BestConfig()
    assert choices(normalize="peak", temperature=2.0).prior == DirichletMixtureConfig(
        normalize="peak", temperature=2.0
    )


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"weighting": None}, "weighting is None; give one of"),
        ({"weighting": MAPConfig()}, "weighting is MAPConfig"),
        (
            {"teacher_temperature": 2.0},
            "teacher_temperature is 2.0; give one of adaptive_temperature, calibrated",
        ),
        ({"prior": DirichletMixtureConfig()}, r"prior is DirichletMixtureConfig\(.*; give one of dirichlet"),
    ],
)
def test_what_is_no_choice(parameters, told):
    with pytest.raises(InputError, match=told):
        choices(**parameters)


def test_held_out_rows_are_missed_where_a_rule_will_ask():
    some = choices(weighting="best")
    some.check_held_out(["a", "b"], ([], []))
    some.check_held_out(["a"], None)
    choices(teacher_temperature="calibrated").check_held_out([], None)
    with pytest.raises(InputError, match="weighting 'best': there is no labelled held-out row"):
        some.check_held_out(["a", "b"], None)
    with pytest.raises(InputError, match="temperature 'calibrated': there is no labelled held-out row"):
        choices(teacher_temperature="calibrated").check_held_out(["a"], None)
