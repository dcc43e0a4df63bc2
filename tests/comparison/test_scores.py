import pytest

from mtbkd.comparison.scores import decimals, heading, loss
from mtbkd.evaluation.directions import better


@pytest.mark.parametrize(
    ("score", "way"),
    [
        ("accuracy", "larger"),
        ("accuracy_at_80", "larger"),
        ("ood.total.auroc", "larger"),
        ("macro_f1", "larger"),
        ("brier_resolution", "larger"),
        ("nll", "smaller"),
        ("ece_classwise", "smaller"),
        ("aurc_excess", "smaller"),
        ("ood.epistemic.fpr95", "smaller"),
        ("latency_ms", "smaller"),
        ("validation_nll", "smaller"),
        ("epistemic", None),
        ("n", None),
    ],
)
def test_which_way_is_better(score, way):
    assert better(score) == way


def test_loss_is_smaller_where_it_is_better():
    assert (loss("accuracy", 0.9), loss("nll", 0.3)) == (-0.9, 0.3)


def test_headings_and_places():
    assert (heading("nll"), heading("ood.total.auroc")) == ("NLL", "ood total auroc")
    assert [decimals([value, float("inf")]) for value in (0.5, 12.0, 248000.0)] == [3, 1, 0]
    assert decimals([]) == 3
