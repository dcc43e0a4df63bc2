"""A student away from its run says what it said there, of columns as they were read; by command and in Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
import tiny_runs
import torch

from mtbkd import InputError, Predictor, students
from mtbkd.data.table import TableConfig, load
from mtbkd.data.table_encoding import Scaling, TableEncoding
from mtbkd.pipeline import run
from mtbkd.posterior import Posterior
from mtbkd.predict_command import main
from mtbkd.predictor import INPUTS, Inputs, Reading
from mtbkd.run_directory import RunDirectory


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a run on a table of 60 rows with an id, a category and gaps."""
    folder = tmp_path_factory.mktemp("shipped")
    words = tiny_runs.tiny_overrides(folder, "svi")
    table = pandas.read_csv(folder / "animals.csv")
    table.insert(0, "code", [f"{i:03d}" for i in range(60)])
    table["home"] = np.where(np.arange(60) % 7, np.arange(60) % 3 + 1, np.nan)
    table["home"] = table["home"].map({1: "A1", 2: "2", 3: "A3"})
    table.to_csv(folder / "animals.csv", index=False)
    words += ["data.id_column=code", "data.missing=median", "baseline=none", "report=none"]
    run(tiny_runs.resolved(*words), RunDirectory(folder / "run"), "mtbkd")
    return folder


def test_rows_of_the_table_get_the_probabilities_of_the_run(finished):
    kept = np.load(finished / "run" / "predictions.npz")
    found = Predictor.load(finished / "run").predict_file(finished / "animals.csv").set_index("id")
    assert list(found) == ["predicted", "p_ant", "p_bee", "p_cow", "total", "epistemic"]
    test = found.loc[kept["test_ids"].tolist()]
    probs = test[["p_ant", "p_bee", "p_cow"]].to_numpy()
    np.testing.assert_allclose(probs, kept["test_student_mean"], atol=1e-6)
    assert test["predicted"].tolist() == [["ant", "bee", "cow"][k] for k in probs.argmax(1)]
    entropy = -(probs * np.log(probs)).sum(1)
    np.testing.assert_allclose(test["total"], entropy, atol=1e-5)
    np.testing.assert_allclose(test["epistemic"], kept["test_student_epistemic"], atol=1e-6)


def test_a_category_of_digits_is_text_whatever_else_the_new_file_holds(finished, tmp_path):
    """Alone with a gap, 2 would be read as the number 2.0, which is no category."""
    new = pandas.DataFrame(
        {"code": ["a", "b"], "length": [3.0, 3.0], "weight": [0.1, 0.1], "home": ["2", None]}
    )
    new.to_csv(tmp_path / "new.csv", index=False)
    student = Predictor.load(finished / "run")
    expected = student.predict({"length": [3.0], "weight": [0.1], "home": ["2"]}).mean[0].tolist()
    found = student.predict_file(tmp_path / "new.csv")
    assert found.loc[0, ["p_ant", "p_bee", "p_cow"]].tolist() == pytest.approx(expected)
    assert found["id"].tolist() == ["a", "b"]
    new.drop(columns="code").to_parquet(tmp_path / "new.parquet")
    again = student.predict_file(tmp_path / "new.parquet")
    assert again["id"].tolist() == [0, 1]
    np.testing.assert_allclose(again.iloc[:, 2:], found.iloc[:, 2:], rtol=1e-6)


def test_the_command_writes_the_same(finished, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert main([str(finished / "run"), str(finished / "animals.csv"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"60 rows: {out}\n"
    expected = Predictor.load(finished / "run").predict_file(finished / "animals.csv")
    found = pandas.read_csv(out, dtype={"id": str})
    pandas.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-5)
    assert (
        main(
            [str(finished / "run"), str(finished / "animals.csv"), "--out", str(out.with_suffix(".parquet"))]
        )
        == 0
    )
    assert len(pandas.read_parquet(out.with_suffix(".parquet"))) == 60


@pytest.mark.parametrize(
    ("run_folder", "table", "out", "message"),
    [
        ("rum", "animals.csv", "out.csv", "no folder"),
        (".", "animals.csv", "out.csv", "has no inputs.json: it is no finished run on a table"),
        ("run", "animal.csv", "out.csv", "did you mean 'animals.csv'?"),
        ("run", "sharp.npz", "out.csv", "no array 'x'"),
        ("run", "other.csv", "out.csv", "other.csv: no column 'length'; valid: code"),
        ("run", "animals.csv", "out.xlsx", "neither .csv nor .parquet"),
        ("run", "animals.csv", "animals.csv", "is the table itself"),
        ("run", "animals.csv", "nowhere/out.csv", "does not exist; make it"),
    ],
)
def test_bad_input_is_told_in_a_line(finished, run_folder, table, out, message, capsys):
    (finished / "other.csv").write_text("code\n1\n")
    assert main([str(finished / run_folder), str(finished / table), "--out", str(finished / out)]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("mtbkd-predict: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_cannot_be_written_is_told_and_nothing_is_half_written(
    finished, tmp_path, suffix, monkeypatch, capsys
):
    out = tmp_path / f"out{suffix}"
    words = [str(finished / "run"), str(finished / "animals.csv"), "--out", str(out)]
    out.mkdir()
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"mtbkd-predict: --out: '{out}' is a folder; ")
    assert told.count("\n") == 1
    out.rmdir()
    out.write_text("as it was")

    def write_half(table, path, **settings):
        Path(path).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pandas.DataFrame, "to_csv", write_half)
    monkeypatch.setattr(pandas.DataFrame, "to_parquet", write_half)
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"mtbkd-predict: --out: '{out}' cannot be written")
    assert "No space left on device" in told
    assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert out.read_text() == "as it was"


def test_a_damaged_file_is_told(finished, tmp_path):
    (tmp_path / INPUTS).write_text('{"format": 1, "class_names": ["a"]}')
    with pytest.raises(InputError, match=r"is damaged or cut short \('encoding'\); do the run again"):
        Predictor.load(tmp_path)
    (tmp_path / INPUTS).write_text('{"format": 7}')
    with pytest.raises(InputError, match="has format 7"):
        Predictor.load(tmp_path)


def test_a_point_has_no_epistemic_uncertainty(tmp_path):
    """A student with weights 0 says 1/2 of each class, with entropy ln 2; its numbers have decimal commas."""
    network = students.mlp(1, [], 2)
    zeros = {name: torch.zeros(1, 1, *value.shape) for name, value in network.named_parameters()}
    point = Posterior(zeros, torch.zeros(1, 1), skeleton=students.skeleton.Skeleton(network))
    inputs = Inputs(("no", "yes"), TableEncoding({"age": Scaling(0.0, 0.0, 1.0)}), Reading(decimal="comma"))
    (tmp_path / "new.csv").write_text("age;more\n3,5;1\n;2\n")
    found = Predictor(point, inputs).predict_file(tmp_path / "new.csv")
    assert found["p_yes"].tolist() == [0.5, 0.5]
    assert found["total"].tolist() == pytest.approx([np.log(2)] * 2)
    assert found["epistemic"].isna().all()
    inputs.write(tmp_path)
    assert Inputs.read(tmp_path) == inputs


def test_true_and_false_are_read_as_the_student_learned_them(tmp_path):
    """True, False and a gap, which takes the median 1/2: mean 1/2, deviation 1/sqrt(6). The student's logits are 0
    and x."""
    (tmp_path / "table.csv").write_text("flag,label,part\nTRUE,yes,pool\nNA,no,pool\nFALSE,no,pool\n")
    config = TableConfig(str(tmp_path / "table.csv"), target="label", split_column="part", missing="median")
    encoding = load(config, 0).encoding
    network = students.mlp(1, [], 2)
    linear = {
        name: torch.tensor([[0.0], [1.0]] if value.ndim == 2 else [0.0, 0.0])[None, None]
        for name, value in network.named_parameters()
    }
    posterior = Posterior(linear, torch.zeros(1, 1), skeleton=students.skeleton.Skeleton(network))
    student = Predictor(posterior, Inputs(("no", "yes"), encoding))
    expected = [1 / (1 + np.exp(-x)) for x in (6**0.5 / 2, 0, -(6**0.5) / 2)]
    found = student.predict_file(tmp_path / "table.csv")["p_yes"].tolist()
    assert found == pytest.approx(expected)
    (tmp_path / "new.csv").write_text("flag\nTRUE\nFALSE\n")
    assert student.predict_file(tmp_path / "new.csv")["p_yes"].tolist() == pytest.approx(expected[::2])
    (tmp_path / "new.csv").write_text("flag\nTRUE\nmaybe\n")
    with pytest.raises(
        InputError, match="column 'flag' holds 'TRUE' at row 0, where the student learned numbers"
    ):
        student.predict_file(tmp_path / "new.csv")


LIGHT = """
import sys
class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("sklearn", "pandas", "hydra", "omegaconf", "arviz", "scipy", "matplotlib"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from mtbkd import Predictor
print(Predictor.load(sys.argv[1]).predict({"length": [3.0], "weight": [0.1], "home": ["2"]}).mean[0].tolist())
"""


def test_a_fresh_process_with_torch_and_pyro_alone_predicts_the_same(finished):
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, str(finished / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    expected = Predictor.load(finished / "run").predict({"length": [3.0], "weight": [0.1], "home": ["2"]})
    assert [float(p) for p in done.stdout.strip("[]\n").split(",")] == expected.mean[0].tolist()
