"""The two ways of docs/howto/your_own_table.md, as written: from a CSV and two fitted models to a page to show."""

import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from page_examples import ROOT, commands_of, python_of

from mtbkd import MTBKDClassifier, Predictor

PAGE = ROOT / "docs" / "howto" / "your_own_table.md"
MADE, MODELS, LINES = python_of(PAGE)
(COMMAND,) = commands_of(PAGE)
# Three plans alike: chance is 1/3 of 80 test rows, with a deviation of .053; this is 6 of them above.
ABOVE_CHANCE = 0.65


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """The folder of somebody who has done the page's first half, and the names that it left."""
    folder, names = tmp_path_factory.mktemp("newcomer"), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for code in (MADE, MODELS):
            exec(compile(code, PAGE.name, "exec"), names)
    return folder, names


def told(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    modules = {"mtbkd": "mtbkd", "mtbkd-predict": "mtbkd.predict_command"}
    command = [
        sys.executable,
        "-m",
        modules[words[0]],
        *words[1:],
        *(["teachers.cache=cache"] * (words[0] == "mtbkd")),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_there_are_six_lines():
    assert len([line for line in LINES.splitlines() if line]) == 6


@pytest.mark.slow
def test_the_command_ends_with_a_page_to_show(newcomer):
    folder, names = newcomer
    done = told(shlex.split(COMMAND), folder)
    assert done.returncode == 0, done.stderr
    assert "came fitted" not in done.stderr  # the test rows are a file of their own
    page = (folder / "outputs" / "plans" / "report.html").read_text()
    assert done.stdout.splitlines()[-1].endswith("outputs/plans/report.html")
    assert "forest" in page
    assert "logistic" in page
    test = names["test"]
    test.drop(columns="plan").to_csv(folder / "new.csv", index=False)
    assert (
        told(["mtbkd-predict", "outputs/plans", "new.csv", "--out", "predictions.csv"], folder).returncode
        == 0
    )
    found = pd.read_csv(folder / "predictions.csv")
    assert found["id"].tolist() == test["customer"].tolist()
    assert (found["predicted"].to_numpy() == test["plan"].to_numpy()).mean() > ABOVE_CHANCE
    one = {"age": [51.0], "income": [39000], "city": ["Basel"], "member": [True]}
    assert Predictor.load(folder / "outputs" / "plans").predict(one).mean.shape == (1, 3)


@pytest.mark.slow
def test_the_six_lines_end_with_a_page_to_show(newcomer, monkeypatch):
    folder, names = newcomer
    monkeypatch.chdir(folder)
    exec(compile(LINES, PAGE.name, "exec"), names)
    page = (folder / "report.html").read_text()
    assert "forest" in page
    assert "logistic" in page
    clf = names["clf"]
    assert clf.teachers_["forest"] is names["forest"]
    assert clf.score(names["X_test"], names["test"]["plan"]) > ABOVE_CHANCE
    clf.save("plans")
    again = MTBKDClassifier.load("plans").predict(names["X_test"])
    assert again.tolist() == clf.predict(names["X_test"]).tolist()


MISTAKES = {
    "data.path=trian.csv": "data.path: no file 'trian.csv'; did you mean 'train.csv'?",
    "data.target=plans": "data.target: no column 'plans' in train.csv; did you mean 'plan'?",
    "data.target=null": "data.target is not set; name the label column of train.csv (customer, age,",
    "data.target=income": "bin a quantity into classes (pandas.qcut)",
    "data.id_column=null": "column 'customer' has ",
    "data.missing=error": "set data.missing=median",
    "data.path=forest.skops": "'forest.skops' is neither .csv, .tsv, .parquet nor .npz",
    "teachers.files=[forest.pkl]": "skops.io.dump(model, 'forest.skops')",
    "teachers.files=[train.csv]": "not a skops file",
    "teachers.files=[raw.skops]": "RandomForestClassifier is not fitted",
    "teachers.files=[other.skops]": "was fitted to a column 'height', which the table lacks",
    "teachers.files=[odd.skops]": "holds types that are not trusted: ",
    "teachers.files=[codes.skops]": "its class '0' is not among the data's classes",
}


@pytest.fixture(scope="module")
def mistaken(newcomer):
    """The folder with files that a newcomer may give by mistake."""
    import skops.io
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    folder, names = newcomer
    labelled = names["train"].dropna()
    (folder / "forest.pkl").write_bytes(b"a pickle")
    heights = pd.DataFrame({"height": [1.0, 2.0]})
    models = {
        "raw": RandomForestClassifier(),
        "other": GaussianNB().fit(heights, ["basic", "plus"]),
        "odd": make_pipeline(FunctionTransformer(told), GaussianNB()),
        "codes": GaussianNB().fit(labelled[["age"]], labelled["plan"].astype("category").cat.codes),
    }
    for name, model in models.items():
        skops.io.dump(model, folder / f"{name}.skops")
    return folder


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistake_is_told_in_a_line_with_its_mend(word, mistaken, monkeypatch, capsys):
    """The page's own command with one word wrong, composed and prepared in this process: exit code 2."""
    from mtbkd import cli

    key = word.split("=")[0]
    words = [other for other in shlex.split(COMMAND)[1:] if not other.startswith((f"{key}=", "hydra."))]
    monkeypatch.chdir(mistaken)
    monkeypatch.setattr(sys, "argv", ["mtbkd", *words, word, "teachers.cache=cache", "hydra.run.dir=mistake"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert MISTAKES[word] in error
    assert error.count("\n") == 1
    assert not (mistaken / "mistake").exists()
