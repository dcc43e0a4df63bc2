"""The scikit-learn face keeps scikit-learn's contract and the paper's equation."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from mtbkd import MTBKDClassifier, registry, students, temperature, weighting
from mtbkd.errors import InputError
from mtbkd.inference import MAPConfig, SVIConfig
from mtbkd.rules import HeldOut
from mtbkd.teachers import TeacherBank
from mtbkd.temperature.calibrated import CalibratedConfig
from mtbkd.weighting.learned import LearnedConfig
from mtbkd.weighting.stacking import StackingConfig

QUICK = MAPConfig(steps=150, learning_rate=0.05)
TINY = MAPConfig(steps=60, learning_rate=0.1, batch_size=None)

# Reason by check, for those that cannot apply.
CANNOT_APPLY = {
    "check_classifiers_classes": "its last labels are {-1, 1}, and -1 means unlabelled, as in scikit-learn's own "
    "semi-supervised classifiers, which the check knows by name; its other labels are tested below",
}


@parametrize_with_checks(
    [MTBKDClassifier([GaussianNB(), DecisionTreeClassifier(max_depth=3)], hidden=(), inference=TINY)],
    expected_failed_checks=lambda estimator: CANNOT_APPLY,
)
def test_scikit_learn_accepts_it_with_teachers(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [MTBKDClassifier(hidden=(8,), inference=SVIConfig(steps=60, warm_start=60, draws=8))],
    expected_failed_checks=lambda estimator: CANNOT_APPLY,
)
def test_scikit_learn_accepts_it_without_teachers(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def quick(teachers=None, **settings):
    defaults = {"hidden": (8,), "inference": QUICK, "random_state": 0}
    return MTBKDClassifier(teachers, **(defaults | settings))


def with_labels(y, keep):
    """`y` with only `keep` labels left, drawn at random."""
    kept = np.random.default_rng(0).permutation(len(y))[:keep]
    hidden = np.full_like(y, -1)
    hidden[kept] = y[kept]
    return hidden


# ---- what it learns ----------------------------------------------------------------------------------------------
def torch_teacher(x, y):
    """A small network trained on digits as they come."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    inputs, labels = torch.from_numpy(x).float(), torch.from_numpy(y)
    for _ in range(200):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
    return net


def test_three_teachers_beat_thirty_labels_on_digits():
    x, y = load_digits(return_X_y=True)
    rich, pool, test = slice(0, 600), slice(600, 1200), slice(1200, None)
    teachers = {
        "forest": RandomForestClassifier(50, random_state=0).fit(x[rich], y[rich]),
        "lda": make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()).fit(x[rich], y[rich]),
        "net": torch_teacher(x[rich], y[rich]),
    }
    few = with_labels(y[pool], 30)
    engine = SVIConfig(steps=300, warm_start=300, draws=20)
    distilled = quick(teachers, hidden=(16,), inference=engine).fit(x[pool], few)
    # The student without teachers may choose its weight prior on the test rows; at scale 1 it says nothing at all.
    alone = max(
        quick(hidden=(16,), inference=engine, prior_scale=scale).fit(x[pool], few).score(x[test], y[test])
        for scale in (3.0, 10.0)
    )
    assert 0.5 < alone < 0.75
    assert distilled.score(x[test], y[test]) > alone + 0.1
    assert distilled.bank_.names == ("forest", "lda", "net")
    assert distilled.weights_.shape == (600, 3)


def test_pure_distillation_of_one_strong_teacher_gives_its_probabilities(iris):
    # Dir(q; 1 + s p) has its mode at q = p, which a linear student reaches where the teacher is linear.
    x, y = iris
    teacher = LogisticRegression(C=0.1).fit(x, y)
    engine = MAPConfig(steps=800, learning_rate=0.3, batch_size=None)
    student = quick([teacher], hidden=(), concentration=1000.0, prior_scale=100.0, inference=engine)
    student.fit(x, np.full(len(x), -1))
    np.testing.assert_allclose(student.predict_proba(x), teacher.predict_proba(x), atol=0.01)


def test_unlabelled_rows_carry_the_teachers(iris):
    # The labels show only the first 100 rows' classes 0 and 1; the teacher alone knows of class 2.
    x, y = iris
    teacher = LogisticRegression(max_iter=1000).fit(x, y)
    seen = np.where(y == 2, -1, y)
    with pytest.warns(UserWarning, match="no labelled example in the pool: 2"):
        student = quick([teacher]).fit(x, seen)
    assert student.classes_.tolist() == [0, 1, 2]
    with pytest.warns(UserWarning, match="no labelled example in the pool: 2"):
        without = quick([teacher]).fit(x[y < 2], y[y < 2])
    found, found_without = ((s.predict(x[y == 2]) == 2).mean() for s in (student, without))
    assert found > 0.9
    assert found_without < 0.6


# ---- labels ------------------------------------------------------------------------------------------------------
NAMES = np.array(["setosa", "versicolor", "virginica"])


@pytest.mark.parametrize(
    "names",
    [
        NAMES,
        NAMES.astype(object),
        np.array([7, 5, 9]),
        np.array([0.0, 1.0, 2.0]),
        np.array([3, 4, 5], np.uint8),
    ],
    ids=["text", "object", "integers", "floats", "bytes"],
)
def test_classes_may_be_called_anything(iris, names):
    x, y = iris
    student = quick([GaussianNB()]).fit(x, names[y])
    assert student.classes_.tolist() == sorted(names.tolist())
    assert student.predict_proba(x).shape == (150, 3)
    assert (student.predict(x) == names[y]).mean() > 0.9


def test_texts_with_unlabelled_rows(iris):
    x, y = iris
    labels = NAMES[y].astype(object)
    labels[1::2] = -1
    student = quick([GaussianNB()]).fit(x, labels)
    assert student.classes_.tolist() == NAMES.tolist()
    assert student.score(x, NAMES[y]) > 0.9
    own = GaussianNB().fit(x[::2], NAMES[y][::2])  # what the unfitted teacher must have become
    np.testing.assert_allclose(student.bank_.probs[0], own.predict_proba(x), atol=1e-5)


def test_a_teacher_of_integers_serves_labels_that_became_floats(iris):
    x, y = iris
    teacher = GaussianNB().fit(x, y)
    labels = np.full(len(y), -1.0)
    labels[::5] = y[::5]
    student = quick([teacher]).fit(x, labels)
    assert student.classes_.dtype == float
    np.testing.assert_allclose(student.bank_.probs[0], teacher.predict_proba(x), atol=1e-5)


def test_a_torch_teacher_asks_for_all_classes(iris):
    x, y = iris
    some = np.where(y == 2, -1, y)
    net = nn.Linear(4, 3)
    with pytest.raises(InputError, match=r"3 classes for 150 inputs of 2 classes.*list in `classes`"):
        quick([net]).fit(x, some)
    with pytest.warns(UserWarning, match="no labelled example"):
        student = quick([net], classes=[0, 1, 2]).fit(x, some)
    with torch.no_grad():
        expected = torch.softmax(net(torch.from_numpy(x).float()), -1)
    torch.testing.assert_close(student.bank_.probs[0], expected)  # asked about X as it was given


# ---- what scikit-learn does with it ------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_result(iris):
    x, y = iris
    forest = RandomForestClassifier(5)
    first, again, other = (
        quick([forest], random_state=seed).fit(x, y).predict_proba(x) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 1e-3
    assert forest.random_state is None
    assert not hasattr(forest, "classes_")  # the user's own object is left as it was


def test_clones_and_cross_validation_keep_fitted_teachers_fitted(iris):
    x, y = iris
    fitted, unfitted = GaussianNB().fit(x, y), GaussianNB()
    copy = clone(quick([fitted, unfitted], concentration=2.0))
    assert copy.teachers[0] is fitted
    assert copy.concentration == 2.0
    copy.fit(x[:120], y[:120])
    assert copy.teachers_["GaussianNB-1"] is fitted
    np.testing.assert_allclose(copy.teachers_["GaussianNB-2"].class_prior_, [50 / 120, 50 / 120, 20 / 120])
    assert cross_val_score(quick([fitted]), x, y, cv=3).mean() > 0.9


def test_pipelines_and_grid_searches(iris):
    x, y = iris
    pipeline = make_pipeline(StandardScaler(), quick([GaussianNB()]))
    grid = {"mtbkdclassifier__concentration": [1.0, 5.0], "mtbkdclassifier__weighting": ["uniform"]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(x, y)
    assert search.best_score_ > -0.3
    assert search.predict(x[:3]).tolist() == [0, 0, 0]


def test_tables_reach_the_teachers_as_tables(iris):
    x, y = iris
    table = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    by_name = ColumnTransformer([("some", "passthrough", ["c", "d"])])
    teachers = {"fitted": GaussianNB().fit(table, y), "unfitted": make_pipeline(by_name, GaussianNB())}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns where names are lost
        student = quick(teachers).fit(table, pd.Series(y))
        assert student.score(table, y) > 0.9
    assert student.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    expected = GaussianNB().fit(x[:, 2:], y).predict_proba(x[:, 2:])
    np.testing.assert_allclose(student.bank_.probs[1], expected, atol=1e-5)


def test_the_mean_of_the_draws_is_what_is_predicted(iris, monkeypatch):
    x, y = iris
    student = quick([GaussianNB()], inference=SVIConfig(steps=20, warm_start=50, draws=6)).fit(x, y)
    predicted = student.predict_distribution(x)
    assert predicted.probs.shape == (6, 150, 3)
    assert float(predicted.epistemic.max()) > 0
    monkeypatch.setattr("mtbkd.estimator.CHUNK_ELEMENTS", 6 * 3 * 7)  # 7 rows at once
    np.testing.assert_allclose(student.predict_proba(x), predicted.mean, atol=1e-6)


def test_the_student_sees_standardised_features(iris):
    x, y = iris
    student = quick().fit(x, y)
    np.testing.assert_allclose(student.mean_, x.mean(0))
    np.testing.assert_allclose(student.scale_, x.std(0))
    moved = quick().fit(1000 * x + 5, y)
    np.testing.assert_allclose(moved.predict_proba(1000 * x + 5), student.predict_proba(x), atol=1e-3)
    raw = quick(standardize=False).fit(x, y)
    assert (raw.mean_ == 0).all()
    assert (raw.scale_ == 1).all()


def test_a_network_of_ones_own(iris):
    x, y = iris
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    assert quick([GaussianNB()], network=network).fit(x, y).posterior_.num_weights == 4 * 6 + 6 + 6 * 3 + 3


# ---- on disk -----------------------------------------------------------------------------------------------------
def test_a_saved_classifier_predicts_the_same_to_the_bit_without_teachers(iris, tmp_path):
    x, y = iris
    table = pd.DataFrame(x, columns=["a", "b", "c", "d"])
    engine = SVIConfig(steps=20, warm_start=50, draws=6)
    student = quick({"nb": GaussianNB()}, inference=engine, concentration=2.5).fit(table, NAMES[y])
    student.save(tmp_path / "shipped")
    files = sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file())
    assert files == [
        "shipped/estimator.json",
        "shipped/posterior/draws.safetensors",
        "shipped/posterior/posterior.json",
    ]
    loaded = MTBKDClassifier.load(tmp_path / "shipped")
    np.testing.assert_array_equal(loaded.predict_proba(table), student.predict_proba(table))
    np.testing.assert_array_equal(loaded.predict(table), student.predict(table))
    assert torch.equal(loaded.predict_distribution(table).probs, student.predict_distribution(table).probs)
    assert loaded.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert loaded.inference == engine
    assert (loaded.concentration, loaded.hidden, loaded.random_state) == (2.5, (8,), 0)
    loaded.save(tmp_path / "shipped")  # over the earlier one
    np.testing.assert_array_equal(MTBKDClassifier.load(tmp_path / "shipped").classes_, NAMES)
    with pytest.raises(InputError, match="teacher 'str' is 'nb'"):
        loaded.fit(table, y)


def test_a_network_of_ones_own_is_asked_for_when_loading(iris, tmp_path):
    x, y = iris
    network = nn.Linear(4, 3)
    student = quick(network=network).fit(x, y)
    student.save(tmp_path / "own")
    with pytest.raises(InputError, match="network of your own"):
        MTBKDClassifier.load(tmp_path / "own")
    loaded = MTBKDClassifier.load(tmp_path / "own", network=network)
    np.testing.assert_array_equal(loaded.predict_proba(x), student.predict_proba(x))
    quick(network=students.mlp(4, [5], 3)).fit(x, y).save(tmp_path / "built")
    assert MTBKDClassifier.load(tmp_path / "built").predict(x).shape == (150,)


# ---- held-out labels ---------------------------------------------------------------------------------------------
def parts(iris):
    """Rows that teachers were trained on, rows of the student, and held-out rows."""
    x, y = iris
    return (x[::3], y[::3]), (x[1::3], y[1::3]), (x[2::3], y[2::3])


def taught(rich):
    """Teachers that were trained elsewhere, one of them on labels that are mixed up."""
    x, y = rich
    mixed = np.random.default_rng(0).permutation(y)
    return {"nb": GaussianNB().fit(x, y), "mixed": DecisionTreeClassifier(random_state=0).fit(x, mixed)}


def bank_at(teachers, x):
    return TeacherBank.from_probs({name: teacher.predict_proba(x) for name, teacher in teachers.items()})


@pytest.mark.parametrize("rule", ["accuracy", "stacking", "best"])
def test_held_out_labels_tell_what_the_teachers_are_worth(iris, rule):
    rich, (x, y), held_out = parts(iris)
    teachers = taught(rich)
    student = quick(teachers, weighting=rule, inference=TINY).fit(x, with_labels(y, 10), held_out=held_out)
    known = HeldOut(bank_at(teachers, held_out[0]), torch.from_numpy(held_out[1]))
    expected = getattr(weighting, rule)(bank_at(teachers, x), held_out=known)
    torch.testing.assert_close(student.weights_, expected)
    assert student.weights_.shape == (50, 2)
    assert float(student.weights_[0, 0]) > 0.65


def test_trust_is_learned_from_held_out_labels(iris):
    rich, (x, y), held_out = parts(iris)
    rule = LearnedConfig(base="uniform", num_chains=2, warmup=50, draws=50)
    student = quick(taught(rich), weighting=rule, inference=TINY).fit(x, y, held_out=held_out)
    assert float(student.weights_[0, 0]) > 0.9


def test_calibrated_teachers_are_divided_by_the_temperature_that_held_out_labels_say(iris):
    rich, (x, y), held_out = parts(iris)
    teachers = taught(rich)
    student = quick(teachers, teacher_temperature="calibrated", inference=TINY).fit(x, y, held_out=held_out)
    known = HeldOut(bank_at(teachers, held_out[0]), torch.from_numpy(held_out[1]))
    tau = temperature.calibrated(known.bank, held_out=known)
    assert tau[0] > 1.1
    expected = bank_at(teachers, x).tempered(tau).mean_probs()
    torch.testing.assert_close(student.bank_.mean_probs(), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(student.weights_, weighting.entropy(student.bank_))


def test_teachers_that_are_fitted_here_never_see_held_out_rows(iris):
    _, (x, y), held_out = parts(iris)
    few = with_labels(y, 20)
    student = quick([GaussianNB(), DecisionTreeClassifier()], weighting="stacking", inference=TINY)
    student.fit(x, few, held_out=held_out)
    assert student.teachers_["GaussianNB"].class_count_.sum() == 20
    assert len(student.bank_.predictions[0][0]) == len(x)
    with pytest.warns(
        UserWarning, match=r"held_out: 20 of 50 rows are among the labelled rows of X that teachers"
    ):
        student.fit(x, few, held_out=(x, y))


def test_held_out_rows_may_be_tables_with_names_of_classes_and_gaps(iris):
    _, (x, y), (more, labels) = parts(iris)
    table, other = (pd.DataFrame(values, columns=["a", "b", "c", "d"]) for values in (x, more))
    named = NAMES[labels].astype(object)
    named[::2] = -1
    teachers = {"nb": GaussianNB(), "flat": DummyClassifier()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        student = quick(teachers, weighting="accuracy", inference=TINY)
        student.fit(table, NAMES[y], held_out=(other, named))
    right = [(teacher.predict(other) == NAMES[labels])[1::2].mean() for teacher in student.teachers_.values()]
    np.testing.assert_allclose(student.weights_[0], right / np.sum(right), atol=1e-6)


def test_a_search_hands_held_out_rows_on(iris):
    rich, (x, y), held_out = parts(iris)
    search = GridSearchCV(quick(taught(rich), inference=TINY), {"weighting": ["stacking", "best"]}, cv=2)
    assert search.fit(x, y, held_out=held_out).best_score_ > 0.85


def test_a_rule_that_learns_with_the_student_is_given_one(iris, monkeypatch):
    x, y = iris
    seen = {}

    def uniform(bank, labels=None, student=None, seed=0):
        seen.update(student=student, seed=seed)
        return torch.full((bank.num_rows, bank.num_teachers), 1 / bank.num_teachers)

    monkeypatch.setattr(registry.find("weighting", "uniform"), "uniform", uniform)
    model = quick(
        [GaussianNB()], weighting="uniform", inference=TINY, concentration=3.0, strength=2.0, temperature=4.0
    )
    model.fit(x, y)
    student = seen["student"]
    assert (student.influence, student.temperature) == (6.0, 4.0)
    assert student.logits(student.start, student.x).shape == (150, 3)
    np.testing.assert_allclose(student.x.numpy(), (x - model.mean_) / model.scale_, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({"weighting": "stacking"}, "weighting 'stacking'"),
        ({"weighting": "learned"}, "weighting 'learned'"),
        ({"teacher_temperature": "calibrated"}, "temperature 'calibrated'"),
    ],
)
def test_missing_held_out_rows_are_told_before_any_training(iris, settings, rule, monkeypatch):
    monkeypatch.setattr("mtbkd.teachers.asking.trained", lambda *_: pytest.fail("trained"))
    with pytest.raises(InputError, match=rf"{rule}: there is no labelled .*fit\(X, y, held_out=\(X, y\)\)"):
        quick([GaussianNB(), DecisionTreeClassifier()], **settings).fit(*iris)


def test_one_teacher_counts_one_without_held_out_rows(iris):
    assert quick([GaussianNB()], weighting="stacking", inference=TINY).fit(
        *iris
    ).weights_.unique().tolist() == [1.0]


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (np.zeros((3, 4)), "held_out is of type ndarray; give a pair"),
        ((np.zeros((3, 4)),), "held_out is of type tuple; give a pair"),
        ((np.zeros((3, 5)), [0, 1, 2]), "X has 5 features, but MTBKDClassifier is expecting 4"),
        ((np.zeros((3, 4)), [0, 1]), "inconsistent numbers of samples"),
        ((np.zeros((3, 4)), [0, 1, 7]), "held_out y: label 7 at row 2 is not among `classes`"),
        ((np.zeros((3, 4)), ["a", "b", "-1"]), "label '-1' at row 2 is text"),
        ((np.full((3, 4), np.nan), [0, 1, 2]), "contains NaN"),
        ((np.zeros((3, 4)), [-1, -1, -1]), "weighting 'stacking': there is no labelled held-out row"),
    ],
)
def test_held_out_rows_that_cannot_be(iris, held_out, message):
    with pytest.raises(ValueError, match=message):
        quick([GaussianNB(), DecisionTreeClassifier()], weighting="stacking").fit(*iris, held_out=held_out)


def test_configurations_of_rules_are_kept_on_disk(iris, tmp_path):
    rich, (x, y), held_out = parts(iris)
    chosen = {"weighting": StackingConfig(1e-4), "teacher_temperature": CalibratedConfig(upper=5.0)}
    quick(taught(rich), inference=TINY, **chosen).fit(x, y, held_out=held_out).save(tmp_path / "kept")
    loaded = MTBKDClassifier.load(tmp_path / "kept")
    assert {name: getattr(loaded, name) for name in chosen} == chosen


# ---- what is refused ---------------------------------------------------------------------------------------------
FIXED = {"inference": TINY}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teachers": []}, "teachers is empty"),
        ({"teachers": GaussianNB()}, "teachers is of type GaussianNB; give a list"),
        ({"teachers": [GaussianNB]}, "is the class GaussianNB; give an instance"),
        (
            {"teachers": {"svm": LinearSVC()}},
            "teacher 'svm': LinearSVC gives no probabilities; wrap it in Calib",
        ),
        ({"teachers": [SVC()]}, "teacher 'SVC': SVC gives no probabilities"),
        ({"teachers": [3]}, "teacher 'int' is 3, of type int; give a scikit-learn classifier"),
        ({"teachers": [nn.Linear(7, 3)]}, "teacher 'Linear': fails on inputs of shape"),
        (
            {"teachers": [GaussianNB()], "weighting": "entropi"},
            "weighting: unknown method 'entropi'; did you mean",
        ),
        ({"teachers": [GaussianNB()], "weighting": 3}, "weighting is 3; give one of"),
        (
            {"teachers": [GaussianNB()], "teacher_temperature": "warm"},
            "temperature: unknown method 'warm'; valid",
        ),
        ({"teachers": [GaussianNB()], "teacher_temperature": 2}, "teacher_temperature is 2; give one of"),
        ({"prior": "dirichlet_mixtur"}, "prior: unknown method 'dirichlet_mixtur'; did you mean"),
        ({"prior": "dirichlet_product", "normalize": "peak"}, "normalize is 'peak', which prior"),
        ({"normalize": "top"}, "unknown value 'top'"),
        ({"concentration": -1.0}, "concentration is -1"),
        ({"strength": -1.0}, "strength is -1"),
        ({"temperature": 0.0}, "temperature is 0"),
        ({"prior_scale": -1.0}, "prior_scale is -1"),
        ({"hidden": (0,)}, "hidden is 0"),
        ({"network": "mlp"}, "network is of type str; give an nn.Module"),
        ({"network": nn.Linear(4, 2)}, r"network gives shape \(2, 2\)"),
        ({"inference": "svy"}, "inference: unknown method 'svy'; did you mean 'svi'"),
        ({"inference": 3}, "inference is 3; give one of"),
        ({"device": "gpu"}, "device 'gpu' is unknown"),
        ({"classes": [0, 1]}, "label 2 at row 100 is not among `classes`"),
        ({"classes": [0, 1, 2, 2]}, "names a class twice"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_training(iris, settings, message, monkeypatch):
    def trained(*_):
        raise AssertionError("a teacher was trained before the settings were checked")

    monkeypatch.setattr("mtbkd.teachers.asking.trained", trained)
    with pytest.raises(InputError, match=message):
        MTBKDClassifier(**(FIXED | settings)).fit(*iris)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", -1], "label '-1' at row 2 is text.*dtype=object"),
        (np.array(["a", "b", None], object), "a label is None; mark unlabelled rows by -1"),
        (np.array(["a", "b", 3], object), "class 'a' is text and 3 is of type int"),
        ([1, 1, -1], "1 class, 1; at least 2 are needed"),
        ([-1, -1, -1], "0 classes; at least 2 are needed"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        quick().fit(np.eye(3), labels)


def test_no_labels_need_fitted_teachers(iris):
    x, _ = iris
    with pytest.raises(InputError, match="teacher 'GaussianNB' is not fitted and y labels no row"):
        quick([GaussianNB()], classes=[0, 1]).fit(x, np.full(len(x), -1))
    with pytest.raises(InputError, match="no row and there are no teachers"):
        quick(classes=[0, 1]).fit(x, np.full(len(x), -1))


def test_teachers_of_other_classes_or_features_are_refused(iris):
    x, y = iris
    with pytest.raises(InputError, match="teacher 'GaussianNB': class 'setosa' is text and 0 is"):
        quick([GaussianNB().fit(x, NAMES[y])]).fit(x, y)
    with pytest.raises(InputError, match="its class '2' is not among the data's classes"):
        quick([GaussianNB().fit(x, y)], classes=[0, 1]).fit(x[:100], y[:100])
    with pytest.raises(InputError, match="fitted to 2 features, the inputs have 4"):
        quick([GaussianNB().fit(x[:, :2], y)]).fit(x, y)


def test_sparse_features_are_refused(iris):
    x, y = iris
    with pytest.raises(TypeError, match=r"Sparse data was passed.*toarray"):
        quick().fit(csr_matrix(x), y)


def test_saving_never_removes_what_is_not_a_classifier(iris, tmp_path):
    student = quick().fit(*iris)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis.txt', which saving here would lose"):
        student.save(tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.txt"]


def test_damaged_files_are_told(iris, tmp_path):
    with pytest.raises(InputError, match=r"estimator.json is missing; give the folder"):
        MTBKDClassifier.load(tmp_path / "nowhere")
    path = tmp_path / "cut"
    quick().fit(*iris).save(path)
    whole = (path / "estimator.json").read_text()
    (path / "estimator.json").write_text(whole[:100])
    with pytest.raises(InputError, match="damaged or cut short"):
        MTBKDClassifier.load(path)
    (path / "estimator.json").write_text(whole.replace('"format": 1', '"format": 99'))
    with pytest.raises(InputError, match="has format 99; this version reads 1"):
        MTBKDClassifier.load(path)
