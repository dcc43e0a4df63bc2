import pandas as pd
import pytest
from stub_runs import write_run

from mtbkd.comparison import runs
from mtbkd.comparison.command import main


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    """Calls the command; returns exit code, lines of stdout and of stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main(list(map(str, words)))
        out, err = capsys.readouterr()
        return ended.value.code, out.splitlines(), err.splitlines()

    return call


@pytest.fixture
def machines(tmp_path):
    for machine, seeds in (("laptop", (0, 1)), ("cluster", (1, 2))):
        for weighting in ("uniform", "entropy"):
            for seed in seeds:
                write_run(
                    tmp_path / machine / f"{weighting}{seed}",
                    seed,
                    weighting,
                    nll=0.3 + 0.1 * seed + 0.01 * (machine == "cluster"),
                    ended=2000.0 if machine == "laptop" else 1000.0,
                )
    return tmp_path


def test_two_machines_make_one_comparison(compare, machines):
    code, out, err = compare(
        "laptop", "cluster", "--baseline", "weighting=uniform", "--out", "both", "--scores", "nll"
    )
    assert (code, err) == (0, [])
    assert out[-4:] == [f"both/comparison{end}" for end in (".html", ".csv", "_means.csv", ".tex")]
    means = pd.read_csv(machines / "both/comparison_means.csv").set_index("weighting")
    # Of seed 1 the laptop's run, which was finished later.
    assert means.loc["entropy", "mean"] == pytest.approx((0.3 + 0.4 + 0.51) / 3)
    assert means.loc["entropy", ["seeds", "pairs"]].tolist() == [3, 3]
    assert len(pd.read_csv(machines / "both/comparison.csv")) == 8
    page = (machines / "both/comparison.html").read_text()
    assert "cluster/entropy1 is left out: laptop/entropy1" in page


def test_one_folder_gets_its_own_page(compare, machines):
    code, out, _ = compare("laptop")
    assert code == 0
    assert (machines / "laptop/comparison.html").exists()
    assert any(line.startswith("1. entropy") for line in out)
    # Again: the page is no run, and nothing else has changed.
    before = (machines / "laptop/comparison.html").read_bytes()
    compare("laptop")
    assert (machines / "laptop/comparison.html").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "'nowhere' is no folder"),
        (["laptop", "--baseline", "weighting=x"], "--baseline weighting=x: no finished run has this"),
        (["laptop", "--scores", "nll,x"], "--scores x: no compared run has this score"),
        (["laptop", "--model", "x"], "--model x: no finished run has this model"),
        (["laptop", "--out", "laptop/uniform0/run.json"], "choose another --out"),
    ],
)
def test_bad_input_is_one_line(compare, machines, words, told):
    code, out, err = compare(*words)
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith("mtbkd-compare: ")
    assert told in err[0]


def test_its_tables_hold_no_formulas(compare, tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / "=x()" / f"{seed}", seed, "=cmd()", nll=-0.5)
        write_run(tmp_path / "b" / f"{seed}", seed, nll=0.5)
    write_run(tmp_path / "c", state="failed", error="@SUM(1)")
    code, _, _ = compare(tmp_path, "--baseline", "weighting=uniform", "--scores", "nll")
    assert code == 0
    runs_table = pd.read_csv(tmp_path / "comparison.csv").set_index("run")
    assert runs_table.loc["'=x()/0", ["weighting.name", "student.nll"]].tolist() == ["'=cmd()", -0.5]
    assert runs_table.loc["c", "error"] == "'@SUM(1)"
    means = pd.read_csv(tmp_path / "comparison_means.csv").set_index("weighting")
    assert means.loc["'=cmd()", ["mean", "difference"]].tolist() == [-0.5, -1.0]


def test_what_cannot_be_read_is_not_told_as_what_cannot_be_written(compare, machines, monkeypatch):
    def unreadable(place):
        raise PermissionError(13, "Permission denied", f"{place}/.outcomes")

    monkeypatch.setattr(runs, "outcomes", unreadable)
    code, out, err = compare("laptop")
    assert (code, out, len(err)) == (2, [], 1)
    assert err[0].startswith("mtbkd-compare: cannot read 'laptop/.outcomes' (Permission denied)")


def test_help_has_examples(compare):
    code, out, _ = compare("--help")
    text = "\n".join(out)
    assert code == 0
    for word in (
        "--baseline weighting=uniform",
        "--out",
        "--scores",
        "--model",
        "exit codes: 0 done, 2 bad input",
    ):
        assert word in text
