"""A fit that was stopped goes on, and ends with the draws of one that never was."""

import json
from dataclasses import replace

import pytest
import torch
from exact import ENGINES, linear, linear_data

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import MAPConfig
from mtbkd.progress import Progress

RESUMABLE = [name for name, engine in ENGINES.items() if getattr(engine.config, "resumable", True)]


class Stopped(Exception):
    """As if the power had gone."""


class StoppingProgress(Progress):
    """Ends the run at a step of the last stage that has that many."""

    def __init__(self, stage: str, step: int) -> None:
        self.wanted, self.step = stage, step

    def stage(self, name, total, done=0):
        from contextlib import contextmanager

        @contextmanager
        def stage():
            steps = done

            def advance(count=1, **figures):
                nonlocal steps
                steps += count
                if name == self.wanted and steps >= self.step:
                    raise Stopped

            yield advance

        return stage()


class Stages(Progress):
    """Notes each stage and its steps."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []

    def stage(self, name, total, done=0):
        self.seen.append((name, total, done))
        return super().stage(name, total, done)


def same(one, other) -> None:
    """Draws, their statistics and the trace, to the bit."""
    for name, values in one.values.items():
        assert torch.equal(values, other.values[name]), name
    assert torch.equal(one.log_density, other.log_density)
    for group in ("stats", "trace"):
        mine, yours = getattr(one, group), getattr(other, group)
        assert mine.keys() == yours.keys()
        for name in mine:
            assert torch.equal(mine[name], yours[name]), name
    assert one.info == other.info


def evaluations(monkeypatch) -> list[int]:
    """A counter of gradients, from now on."""
    count = [0]
    inner = Density.evaluate_batch

    def counted(self, kind, theta, batch):
        count[0] += kind == "value_and_grad"
        return inner(self, kind, theta, batch)

    monkeypatch.setattr(Density, "evaluate_batch", counted)
    return count


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_stopped_fit_ends_with_the_same_draws(name, tmp_path, monkeypatch):
    """Stopped in each of its stages at a step that is no checkpoint; little more than a twentieth is done twice."""
    config, data = ENGINES[name].resumed, linear_data()
    count, stages = evaluations(monkeypatch), Stages()
    whole = fit(linear, data, config, seed=4, progress=stages)
    needed = count[0]
    assert stages.seen, "a run of some length tells its progress"
    for i, (stage, total, _) in enumerate(stages.seen):
        count[0] = 0
        stopping = StoppingProgress(stage, int(0.67 * total))
        with pytest.raises(Stopped):
            fit(linear, data, config, seed=4, progress=stopping, checkpoint=tmp_path / str(i))
        assert 0 < count[0] <= needed  # not all engines' own steps are gradients
        again = fit(linear, data, config, seed=4, progress=False, checkpoint=tmp_path / str(i))
        assert count[0] <= 1.12 * needed + 2, f"{stage}: {count[0]} gradients in two parts, {needed} in one"
        assert again.meta["resumed_from_step"] > 0
        same(whole, again)


def test_a_finished_fit_is_read_again(tmp_path, monkeypatch):
    config = replace(ENGINES["map"].config, steps=40)
    first = fit(linear, linear_data(), config, progress=False, checkpoint=tmp_path / "fit")
    assert first.meta["resumed_from_step"] is None
    count = evaluations(monkeypatch)
    again = fit(linear, linear_data(), config, progress=False, checkpoint=tmp_path / "fit")
    assert count[0] == 0
    assert again.meta["resumed_from_step"] == 40
    same(first, again)


def stopped(folder, **changes) -> None:
    with pytest.raises(Stopped):
        fit(linear, linear_data(), MAP, progress=StoppingProgress("MAP", 20), checkpoint=folder, **changes)


MAP = MAPConfig(steps=40)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "seed"),
        ({"inference": replace(MAP, learning_rate=0.02)}, "engine"),
        ({"data": linear_data(31)}, "data"),
    ],
)
def test_another_fit_does_not_go_on(tmp_path, change, told):
    stopped(tmp_path)
    arguments = {"model": linear, "data": linear_data(), "inference": MAP} | change
    with pytest.raises(InputError, match=rf"is of another fit; differing: .*{told}"):
        fit(**arguments, progress=False, checkpoint=tmp_path)


def test_another_model_does_not_go_on(tmp_path):
    def other(design, y, scale=None):
        import pyro
        import pyro.distributions as dist

        slope = pyro.sample("slope", dist.Normal(design.new_zeros(3), 2.1).to_event(1))
        bias = pyro.sample("bias", dist.Normal(design.new_zeros(()), 2.0))
        with pyro.plate("rows", len(y)):
            pyro.sample("y", dist.Normal(design @ slope + bias, 0.5), obs=y)

    stopped(tmp_path)
    with pytest.raises(InputError, match="is of another fit; differing: model"):
        fit(other, linear_data(), MAP, progress=False, checkpoint=tmp_path)


def test_a_compiled_run_without_its_compiler_does_not_go_on(tmp_path, monkeypatch):
    stopped(tmp_path)
    record = json.loads((tmp_path / "fit.json").read_text())
    record["choices"]["engine"]["execution"]["compiled"] = True
    (tmp_path / "fit.json").write_text(json.dumps(record))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="was begun with compiled graphs, and there is no C"):
        fit(linear, linear_data(), MAP, progress=False, checkpoint=tmp_path)


@pytest.mark.parametrize("name", ["fit.json", "engine/state.safetensors", "engine/loss.npy"])
def test_a_damaged_file_is_named(tmp_path, name):
    stopped(tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(InputError, match="damaged"):
        fit(linear, linear_data(), MAP, progress=False, checkpoint=tmp_path)


@pytest.mark.parametrize("name", [name for name in ENGINES if name not in RESUMABLE])
def test_an_engine_that_keeps_nothing_says_so(tmp_path, name):
    config = ENGINES[name].tiny
    first = fit(linear, linear_data(), config, progress=False, checkpoint=tmp_path)
    with pytest.warns(UserWarning, match=f"{config.name} keeps nothing to go on from: it starts again"):
        again = fit(linear, linear_data(), config, progress=False, checkpoint=tmp_path)
    same(first, again)
