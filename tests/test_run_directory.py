import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny_runs

from mtbkd.errors import InputError
from mtbkd.run_directory import RunDirectory, read_record, write_json


@pytest.fixture
def config():
    return tiny_runs.resolved("inference.steps=5")


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "run", {".hydra/config.yaml": "seed: 0\n"})


def begun(directory, config):
    directory.path.mkdir(exist_ok=True)
    directory.begin(config, "mtbkd", {"data, pool": "1", "teacher 'a'": "2"})
    return directory


def test_a_run_begins_goes_on_and_is_finished(directory, config):
    assert directory.state(config) == "new"
    begun(directory, config)
    assert directory.state(config) == "continued"
    assert (directory.path / ".hydra/config.yaml").read_text() == "seed: 0\n"
    directory.stages.mkdir()
    directory.finish()
    assert directory.state(config) == "finished"
    assert not directory.stages.exists()
    record = json.loads((directory.path / "run.json").read_text())
    assert record["hash"] == config.hash
    assert record["config"] == config.resolved
    assert record["command"] == "mtbkd"


def test_another_configuration_is_refused_with_the_keys(directory, config):
    begun(directory, config)
    other = tiny_runs.resolved("inference.steps=6", "seed=3", "threads=2")
    with pytest.raises(InputError, match=r"differing: inference\.steps, seed\."):
        directory.state(other)


def test_fresh_starts_over_whatever_is_there(directory, config):
    begun(directory, config)
    directory.finish()
    (directory.path / "metrics.json").write_text("{}")
    (directory.path / "mine.txt").write_text("kept")
    again = tiny_runs.resolved("inference.steps=6", "fresh=true")
    assert directory.state(again) == "new"
    assert (directory.path / "metrics.json").exists()
    begun(directory, again)
    assert sorted(p.name for p in directory.path.iterdir()) == [".hydra", "mine.txt", "run.json"]


def test_an_unfinished_run_goes_on_only_from_the_same_inputs(directory, config):
    begun(directory, config)
    with pytest.raises(InputError, match=r"changed since: teacher 'a'\."):
        directory.begin(config, "mtbkd", {"data, pool": "1", "teacher 'a'": "3"})
    directory.begin(config, "mtbkd", {"data, pool": "1", "teacher 'a'": "2"})


def test_a_failure_keeps_error_traceback_and_stages(directory, config):
    begun(directory, config)
    directory.stages.mkdir()
    directory.fail(config, "mtbkd", "RuntimeError: no", "Traceback ...\nRuntimeError: no\n")
    record = read_record(directory.path)
    assert record["state"] == "failed"
    assert record["error"] == "RuntimeError: no"
    assert record["inputs"] == {"data, pool": "1", "teacher 'a'": "2"}
    assert "Traceback" in (directory.path / "run.log").read_text()
    assert directory.stages.exists()
    assert directory.state(config) == "continued"


def test_discard_leaves_what_is_not_ours(directory, config):
    begun(directory, config)
    (directory.path / "mine.txt").write_text("kept")
    directory.discard()
    assert [p.name for p in directory.path.iterdir()] == ["mine.txt"]


def test_discard_keeps_what_is_fitted(directory, config):
    begun(directory, config)
    directory.stages.mkdir()
    directory.discard()
    assert directory.record is not None


@pytest.mark.parametrize("text", ["{", "[]", '{"state": "finished"}'])
def test_a_damaged_record_is_told(directory, config, text):
    directory.path.mkdir()
    (directory.path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json' is damaged"):
        directory.state(config)


def test_a_lock_without_a_run_leaves_nothing(directory):
    with directory.locked():
        pass
    assert list(directory.path.iterdir()) == []


def test_one_process_at_a_time(directory):
    directory.path.mkdir()
    code = (
        "import sys; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire();"
        "print('held', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(directory.path / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="another process is at work"), directory.locked():
            pytest.fail("the lock was held")
        other.stdin.close()
    with directory.locked():
        pass


def test_a_patient_one_waits_for_the_other(directory):
    """Two threads, each with a lock of its own: the second enters when the first has left."""
    order = []
    with ThreadPoolExecutor(1) as threads:
        with directory.locked():
            patient = threads.submit(enter, RunDirectory(directory.path, patient=True), order)
            time.sleep(0.2)
            order.append("first")
        patient.result(timeout=30)
    assert order == ["first", "second"]


def enter(directory, order):
    with directory.locked():
        order.append("second")


def test_json_is_whole_and_without_nan(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1.5})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1.5}
