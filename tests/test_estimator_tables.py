"""The classifier on a user's own data frame, with categories and gaps, and teachers that came fitted; and its page."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mtbkd import InputError, MTBKDClassifier
from mtbkd.inference import EnsembleConfig, MAPConfig

MAP = MAPConfig(steps=150, learning_rate=0.05)


def customers(n, seed):
    """Two columns tell three plans apart; one in eight ages and cities is missing."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % 3
    table = pd.DataFrame(
        {
            "age": 30.0 + 12 * kind + 3 * rng.normal(size=n),
            "visits": rng.poisson(3, n),
            "member": rng.random(n) < 0.5,
            "city": np.array(["Bern", "Chur", "Genf"], object)[np.where(rng.random(n) < 0.7, kind, 0)],
        },
        index=[f"C{seed}{i:03d}" for i in range(n)],
    )
    for column in ("age", "city"):
        table.loc[rng.random(n) < 0.125, column] = np.nan
    return table, pd.Series(
        np.array(["basic", "plus", "premium"], object)[kind], index=table.index, name="plan"
    )


def columns():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (numbers, ["visits", "age"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    )


X, Y = customers(90, 1)
X_TEST, Y_TEST = customers(60, 2)
FOREST = make_pipeline(columns(), RandomForestClassifier(30, random_state=0)).fit(X, Y)
# Fitted to two of the columns, in an order of its own.
LOGISTIC = make_pipeline(columns(), LogisticRegression()).fit(X[["city", "age", "visits"]], Y)
TEACHERS = {"forest": FOREST, "logistic": LOGISTIC}


@pytest.fixture(scope="module")
def taught():
    return MTBKDClassifier(teachers=TEACHERS, inference=MAP, hidden=(8,), random_state=0).fit(X, Y)


def test_fitted_pipelines_are_shown_the_table_and_left_as_they_are(taught):
    assert taught.teachers_["forest"] is FOREST
    assert taught.bank_.names == ("forest", "logistic")
    np.testing.assert_allclose(taught.bank_.probs[0], FOREST.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(taught.bank_.probs[1], LOGISTIC.predict_proba(X), atol=1e-6)
    assert (
        taught.score(X_TEST, Y_TEST) > 0.8
    )  # three classes alike, so chance is 1/3, .55 with 60 rows at 3.5 sigma


def test_missing_labels_are_unlabelled():
    gaps = Y.where(np.arange(len(Y)) % 2 == 0)
    minus = gaps.astype(object).fillna(-1).to_numpy()
    one, other = (
        MTBKDClassifier(LOGISTIC_ONLY, inference=MAP, random_state=0).fit(X, y) for y in (gaps, minus)
    )
    np.testing.assert_array_equal(one.predict_proba(X_TEST), other.predict_proba(X_TEST))
    assert one.classes_.tolist() == ["basic", "plus", "premium"]
    numbers = pd.Series(np.where(np.arange(len(Y)) % 4, np.arange(len(Y)) % 3, np.nan))
    assert MTBKDClassifier(inference=MAP).fit(X, numbers).classes_.tolist() == [0.0, 1.0, 2.0]


LOGISTIC_ONLY = {"logistic": LOGISTIC}


def test_teachers_that_are_not_fitted_learn_from_the_table_if_they_can():
    fresh = clone(LOGISTIC)
    fitted = MTBKDClassifier([fresh], inference=MAP, random_state=0).fit(X, Y)
    np.testing.assert_allclose(fitted.bank_.probs[0], clone(LOGISTIC).fit(X, Y).predict_proba(X), atol=1e-6)
    assert not hasattr(fresh, "classes_")
    with pytest.raises(
        InputError, match=r"'RandomForestClassifier': cannot be fitted to X.*ColumnTransformer"
    ):
        MTBKDClassifier([RandomForestClassifier()], inference=MAP).fit(X.assign(city="Bern"), Y)


def test_columns_are_found_by_name(taught):
    expected = taught.predict_proba(X_TEST)
    np.testing.assert_array_equal(taught.predict_proba(X_TEST[X_TEST.columns[::-1]].assign(more=1)), expected)
    unknown = taught.predict_proba(X_TEST.assign(city="Aarau"))
    np.testing.assert_allclose(unknown.sum(1), 1)
    with pytest.raises(InputError, match=r"X: no column 'age'; .*valid: city"):
        taught.predict(X_TEST.drop(columns="age"))
    with pytest.raises(
        InputError, match=r"type ndarray; the classifier was fitted to a data frame.*\(age, visits"
    ):
        taught.predict(X_TEST.to_numpy())


def test_it_is_saved_with_what_encodes_its_columns(taught, tmp_path):
    taught.save(tmp_path / "clf")
    loaded = MTBKDClassifier.load(tmp_path / "clf")
    np.testing.assert_array_equal(loaded.predict_proba(X_TEST), taught.predict_proba(X_TEST))
    assert loaded.evaluate(X_TEST, Y_TEST)["accuracy"] == pytest.approx(taught.score(X_TEST, Y_TEST))
    with pytest.raises(InputError, match=r"report: there are no teachers.*before saving"):
        loaded.report(X_TEST, Y_TEST, tmp_path / "report.html")


def test_numbers_may_stay_as_they_are():
    raw = MTBKDClassifier(inference=MAP, standardize=False).fit(X, Y)
    numbers = raw.encoding_.encode(X[["age", "visits", "member", "city"]])
    np.testing.assert_allclose(numbers[:, 0], X["age"].fillna(X["age"].median()), rtol=1e-6)
    np.testing.assert_array_equal(numbers[:, 1], X["visits"])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (X.assign(day=pd.Timestamp("2024-01-01")), "column 'day' holds dates"),
        (
            pd.concat([X, X_TEST]).assign(text=[f"t{i}" for i in range(150)]),
            "'text' has 150 categories.*X.drop",
        ),
        (X.rename(columns={"age": 3}), "a column is called 3, which is no text"),
    ],
)
def test_columns_that_no_student_can_be_shown_are_told(table, message):
    with pytest.raises(InputError, match=message):
        MTBKDClassifier(inference=MAP).fit(table, np.resize(Y, len(table)))


@pytest.fixture
def page(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "mtbkd.estimator_report.write_report", lambda path, content: seen.append(content) or path
    )
    return seen


def test_the_report_has_the_scores_that_scikit_learn_gives(taught, page, tmp_path):
    assert taught.report(X_TEST, Y_TEST, tmp_path / "report.html") == tmp_path / "report.html"
    (content,) = page
    accuracy = {name: said["accuracy"] for name, said in content.metrics["teachers"].items()}
    assert accuracy == pytest.approx({name: one.score(X_TEST, Y_TEST) for name, one in TEACHERS.items()})
    assert content.metrics["student"]["accuracy"] == pytest.approx(taught.score(X_TEST, Y_TEST))
    alone = MTBKDClassifier(inference=MAP, hidden=(8,), random_state=0).fit(X, Y)
    label_only = content.metrics["label_only_student"]["accuracy"]
    assert label_only == pytest.approx(alone.score(X_TEST, Y_TEST))
    assert (
        content.metrics["kd_student"]["nll"] == content.metrics["student"]["nll"]
    )  # a MAP is plain distillation
    assert content.facts["Came fitted"].startswith("forest, logistic;")
    assert content.warnings == ()
    assert content.least_sure[0].id in X_TEST.index
    assert content.feature_names == ("age", "visits", "member", "city")
    assert "teachers=[forest, logistic], hidden=(8,)" in content.command
    assert content.test.y.tolist() == [["basic", "plus", "premium"].index(y) for y in Y_TEST]


def test_rows_that_were_learned_from_are_told(taught, page, tmp_path):
    with pytest.warns(UserWarning, match="60 of 60 rows of the report are among those"):
        taught.report(X[:60], Y[:60], tmp_path / "report.html", compare=False)
    assert page[0].warnings[0].startswith("60 of 60 rows")
    assert page[0].metrics["label_only_student"] is None


def test_a_page_that_could_not_be_written_is_told_before_anything_is_fitted(taught, tmp_path, monkeypatch):
    monkeypatch.setattr("mtbkd.estimator_report._models", lambda *_: pytest.fail("fitted in vain"))
    with pytest.raises(InputError, match=r"the folder '.*out' does not exist; make it, or choose another"):
        taught.report(X_TEST, Y_TEST, tmp_path / "out" / "report.html")
    with pytest.raises(InputError, match=r"is a folder; give the path of a file"):
        taught.report(X_TEST, Y_TEST, tmp_path)


def test_the_page_is_one_file_of_several_draws(tmp_path):
    engine = EnsembleConfig(steps=20, num_members=3)
    taught = MTBKDClassifier(LOGISTIC_ONLY, inference=engine, hidden=(4,), random_state=0)
    labels = Y_TEST.where(np.arange(len(Y_TEST)) % 5 > 0)
    taught.fit(X, Y).report(X_TEST, labels, tmp_path / "report.html", compare=False)
    text = (tmp_path / "report.html").read_text()
    assert "logistic" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    with pytest.raises(InputError, match="y labels no row"):
        taught.report(X_TEST, labels.where(labels.isna()), tmp_path / "report.html")
    with pytest.raises(InputError, match=r"there are no teachers.*evaluate"):
        MTBKDClassifier(inference=MAP).fit(X, Y).report(X_TEST, Y_TEST, tmp_path / "report.html")
