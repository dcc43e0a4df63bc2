"""Models that were fitted to a user's own data frame are shown the same columns, and say the same as without us."""

import warnings

import numpy as np
import pandas
import pytest
import skops.io
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mtbkd.augmentation import augment
from mtbkd.augmentation.noise import NoiseConfig
from mtbkd.data.table import TableConfig, load
from mtbkd.errors import InputError
from mtbkd.teachers.skops_file import SkopsFileConfig, build
from mtbkd.teachers.table_inputs import mend_of


@pytest.fixture
def customers(tmp_path):
    """60 rows of numbers, categories, gaps, an id and a label that is missing in every fifth."""
    rng = np.random.default_rng(0)
    kind = np.arange(60) % 3
    table = pandas.DataFrame(
        {
            "code": [f"{i:03d}" for i in range(60)],
            "age": np.where(np.arange(60) % 7, 30.0 + 10 * kind + rng.normal(size=60), np.nan),
            "city": np.array(["Bern", "Chur", "Genf"], object)[np.where(rng.random(60) < 0.7, kind, 0)],
            "level": np.where(np.arange(60) % 5, kind + 1, np.nan),
        }
    )
    table.to_csv(tmp_path / "mine.csv", index=False)
    return pandas.read_csv(tmp_path / "mine.csv", dtype={"code": str})


def columns():
    return make_column_transformer(
        (SimpleImputer(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), ["city"]),
    )


def loaded(folder, **settings):
    chosen = {"target": "level", "id_column": "code", "missing": "median"} | settings
    return load(TableConfig(path=str(folder / "mine.csv"), **chosen), 0)


def dumped(model, folder):
    skops.io.dump(model, folder / "model.skops")
    return SkopsFileConfig(str(folder / "model.skops"))


def test_a_pipeline_says_of_each_row_what_it_said_to_its_owner(customers, tmp_path):
    """Raw rows by name, with gaps and text; classes 1.0, 2.0, 3.0 of a column with gaps are the table's 1, 2, 3."""
    labelled = customers[customers.level.notna()]
    model = make_pipeline(columns(), RandomForestClassifier(20, random_state=0))
    model.fit(labelled[["city", "age"]], labelled.level)
    assert model.classes_.tolist() == [1.0, 2.0, 3.0]
    teacher = build("forest", dumped(model, tmp_path), data := loaded(tmp_path), 0)
    for rows in (data.pool, data.test):
        theirs = customers.set_index("code").loc[rows.ids.tolist(), ["city", "age"]]
        np.testing.assert_allclose(
            teacher.predict(rows).softmax(-1), model.predict_proba(theirs), rtol=1e-5, atol=1e-6
        )


def test_a_model_of_an_array_sees_the_tables_numbers_not_standardised_ones(tmp_path):
    x = np.random.default_rng(0).normal(50, 9, size=(40, 2))
    y = np.where(x[:, 0] > 50, "big", "small")
    pandas.DataFrame(x, columns=["a", "b"]).assign(y=y).to_csv(tmp_path / "mine.csv", index=False)
    data = loaded(tmp_path, target="y", id_column=None, test_fraction=0.5)
    model = GaussianNB().fit(x, y)
    teacher = build("nb", dumped(model, tmp_path), data, 0)
    np.testing.assert_allclose(
        teacher.predict(data.test).softmax(-1), model.predict_proba(x[data.test.index]), atol=1e-5
    )


def test_models_that_do_not_fit_the_table_are_told(customers, tmp_path):
    data, y = loaded(tmp_path), customers.level.fillna(1)
    rate = customers.assign(rate=customers.age.fillna(0))[["rate"]]
    with pytest.raises(
        InputError, match=r"'m': was fitted to a column 'rate', which the table lacks.*valid: age"
    ):
        build("m", dumped(GaussianNB().fit(rate, y), tmp_path), data, 0)
    nameless = GaussianNB().fit(rate.to_numpy(), y)
    with pytest.raises(InputError, match=r"'m': was fitted without column names.*fit it to a data frame"):
        build("m", dumped(nameless, tmp_path), data, 0)
    coded = make_pipeline(columns(), LogisticRegression(max_iter=2000)).fit(customers[["age", "city"]], y - 1)
    with pytest.raises(InputError, match=r"class '0' is not among the data's classes.*say classes: indices"):
        build("m", dumped(coded, tmp_path), data, 0)
    strict = make_pipeline(make_column_transformer((OneHotEncoder(), ["city"])), LogisticRegression())
    lacking = customers[customers.city != "Genf"]
    teacher = build("m", dumped(strict.fit(lacking[["city"]], lacking.level.fillna(1)), tmp_path), data, 0)
    with pytest.raises(InputError, match=r"Pipeline fails.*unknown categories.*handle_unknown='ignore'"):
        teacher.predict(data.pool)


def test_augmented_rows_have_no_table(customers, tmp_path):
    model = make_pipeline(columns(), LogisticRegression()).fit(
        customers[["age", "city"]], customers.level.fillna(1)
    )
    data = augment(NoiseConfig(), loaded(tmp_path), 0)
    with pytest.raises(InputError, match=r"keep no table.*augmentation=none"):
        build("m", SkopsFileConfig(dumped(model, tmp_path).path, inputs="table"), data, 0)


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".PICKLE"])
def test_a_pickle_is_never_read(customers, tmp_path, suffix):
    (tmp_path / f"forest{suffix}").write_bytes(b"anything")
    with pytest.raises(InputError, match=r"never read.*skops\.io\.dump\(model, 'forest\.skops'\)"):
        build("m", SkopsFileConfig(str(tmp_path / f"forest{suffix}")), loaded(tmp_path), 0)
    with pytest.raises(InputError, match="is a folder"):
        build("m", SkopsFileConfig(str(tmp_path)), loaded(tmp_path), 0)


@pytest.mark.parametrize(
    ("inputs", "mend"),
    [
        (np.array([["a"]], object), "ColumnTransformer"),
        (np.array([[np.nan]]), "SimpleImputer"),
        (np.zeros((1, 2)), "that it was fitted to"),
    ],
)
def test_what_scikit_learn_says_has_a_mend(inputs, mend):
    model = LogisticRegression().fit(np.arange(4.0)[:, None], [0, 0, 1, 1])
    with pytest.raises(ValueError) as told, warnings.catch_warnings():
        model.predict_proba(inputs)
    assert mend in mend_of(str(told.value))
