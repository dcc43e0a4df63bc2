"""A posterior: draws of a model's latents, with what it takes to predict, keep and examine them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mtbkd.data.distillation import DistillationData
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.features.transfer import PROJECTOR
from mtbkd.inference.engine import Draws, EngineConfig
from mtbkd.posterior_file import read_folder, write_folder
from mtbkd.posterior_predictive import predictive
from mtbkd.prediction import Prediction
from mtbkd.students.skeleton import Skeleton
from mtbkd.students.spec import NetworkSpec
from mtbkd.students.student import Student
from mtbkd.students.weight_prior import NormalWeights, WeightPrior

if TYPE_CHECKING:
    from arviz import InferenceData


@dataclass(frozen=True)
class Posterior:
    """Draws from a model's posterior.

    values: by latent site, `[C, S, *shape]`, constrained: views of the engine's draws where they need no transform;
    log_density: `[C, S]`, unconstrained
    held: sites that were not inferred, at their MAP, `[*shape]`
    stats: `[C, S]` a draw; trace: `[T]` a step; info: single numbers; meta: engine, its configuration, seed, seconds
    skeleton: the student's network, None for other Pyro models; spec: how a built-in network is built again
    centre: by latent site, `[C, *shape]`, where predictions are of the network linearised there; None: of the network
    """

    values: dict[str, Tensor]
    log_density: Tensor
    held: dict[str, Tensor] = field(default_factory=dict)
    stats: dict[str, Tensor] = field(default_factory=dict)
    trace: dict[str, Tensor] = field(default_factory=dict)
    info: dict[str, float] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    skeleton: Skeleton | None = None
    spec: NetworkSpec | None = None
    centre: dict[str, Tensor] | None = None

    @classmethod
    def of(
        cls,
        model: Student | Callable[..., Any],
        density: Density,
        draws: Draws,
        config: EngineConfig,
        seed: int,
        seconds: float,
    ) -> "Posterior":
        """What an engine's draws of a density say about the model."""
        values = by_site(density, draws.theta)
        meta = {"engine": config.name, "config": asdict(config), "seed": seed, "seconds": seconds}  # type: ignore[call-overload]
        meta["execution"] = asdict(density.execution)
        skeleton = model.skeleton if isinstance(model, Student) else None
        if isinstance(model, Student):
            meta["weight_prior"] = model.weight_prior.record()
        return cls(
            values=values,
            log_density=draws.log_density.detach().cpu(),
            held={name: v.cpu() for name, v in density.held.items()},
            stats=draws.stats,
            trace=draws.trace,
            info=draws.info,
            meta=meta,
            skeleton=skeleton,
            spec=NetworkSpec.of(skeleton.module) if skeleton else None,
            centre=None if draws.centre is None else by_site(density, draws.centre),
        )

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: each site's own draws, not all of the engine's once a site."""
        return self.__dict__ | {"values": {name: v.clone() for name, v in self.values.items()}}

    @property
    def num_chains(self) -> int:
        """Chains, C."""
        return self.log_density.shape[0]

    @property
    def num_draws(self) -> int:
        """Draws a chain."""
        return self.log_density.shape[1]

    @property
    def posterior_temperature(self) -> float:
        """T, where draws are of p^(1/T) and not of p itself: of engines that can be told to."""
        return float(self.meta.get("config", {}).get("posterior_temperature", 1.0))

    @property
    def num_weights(self) -> int:
        """Numbers in one draw, held ones included; of a student, its network's."""
        drawn = sum(v[0, 0].numel() for v in self.of_network(self.values).values())
        return drawn + sum(v.numel() for v in self.of_network(self.held).values())

    @property
    def stored_bytes(self) -> int:
        """Bytes of all that predictions take: draws, held sites, and where the network is linearised."""
        groups = (self.values, self.held, self.centre or {})
        return sum(t.numel() * t.element_size() for group in groups for t in self.of_network(group).values())

    def of_network(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Those of the network's weights: a student's other latents, projectors, do not enter predictions."""
        shapes = values if self.skeleton is None else self.skeleton.shapes
        return {name: value for name, value in values.items() if name in shapes}

    def samples(self) -> dict[str, Tensor]:
        """Draws by site, `[C, S, *shape]`; held sites as often as there are draws."""
        shape = (self.num_chains, self.num_draws)
        return self.values | {name: v.expand(*shape, *v.shape) for name, v in self.held.items()}

    def chains(self, which: slice) -> "Posterior":
        """Some of the chains."""
        return replace(
            self,
            values={name: v[which] for name, v in self.values.items()},
            log_density=self.log_density[which],
            stats={name: v[which] for name, v in self.stats.items()},
            centre=None if self.centre is None else {name: v[which] for name, v in self.centre.items()},
        )

    def thin(self, most: int) -> "Posterior":
        """At most `most` draws of all chains together, evenly spaced in each."""
        step = max(1, -(-self.num_chains * self.num_draws // most))
        kept = slice(None, None, step)
        return replace(
            self,
            values={name: v[:, kept] for name, v in self.values.items()},
            log_density=self.log_density[:, kept],
            stats={name: v[:, kept] for name, v in self.stats.items()},
        )

    # ---- predictions -----------------------------------------------------------------------------------------
    def predict(self, x: Tensor, *, memory: float = 5e8) -> Prediction:
        """Class probabilities of every draw at inputs `[N, ...]`: `.probs [S, N, K]`, chains first.

        Where there is a centre, the logits are those of the network linearised at it (Immer et al. 2021, equation 9):

            f(x, centre) + J(x, centre) (theta - centre)

        memory: bytes that intermediates may take; the work is cut into chunks of draws and rows to keep within it.
        Raises `InputError` for a posterior that is not a student's.
        """
        return predictive(self, x, memory)

    def to_arviz(
        self,
        x: Tensor | None = None,
        *,
        ids: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
        y: Tensor | None = None,
        fitted_to: DistillationData | tuple[Tensor, Tensor] | None = None,
        weight_prior: WeightPrior | None = None,
        weights: bool = False,
        teacher_names: Sequence[str] = (),
        teacher_data: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> "InferenceData":
        """ArviZ's InferenceData: log density, predictive probabilities at held-out inputs `x [Q, ...]`, scalar sites.

        ids: names of the Q inputs; class_names: K names; y: `[Q]` their labels, -1 unknown
        fitted_to: the data of the fit, for the log-likelihood of its labels, which `az.loo` and `az.compare` need;
            raises `InputError` where draws are of p^(1/T), T other than 1
        weight_prior: a student's, for draws of it at the same inputs; left out: by the posterior's own record, where
            that is of a normal
        weights: the network's weights too (thousands of variables make ArviZ slow)
        teacher_names, teacher_data: see `mtbkd.inference_data.to_inference_data`; seed: of posterior predictive labels
        """
        import numpy as np

        from mtbkd import inference_data, label_terms, prior_draws

        shape = (self.num_chains, self.num_draws)
        probs = np.zeros((*shape, 0, 0)) if x is None else self.predict(x).by_chain.numpy()
        count, k = probs.shape[2:]
        shown = {name: v.numpy() for name, v in self.values.items() if weights or self.skeleton is None}
        named = {"accept": "acceptance_rate", "leapfrogs": "n_steps"}
        stats = {named.get(name, name): v.numpy() for name, v in self.stats.items()}
        weight_prior = weight_prior or NormalWeights.of_record(self.meta.get("weight_prior"))
        prior = log_prior = None
        if weight_prior is not None and self.skeleton is not None:
            # Of draws of p^(1/T) a factor of p counts 1 / T times.
            log_prior = (prior_draws.log_prior(self, weight_prior) / self.posterior_temperature).numpy()
            if x is not None:
                number = prior_draws.affordable_draws(self.num_weights)
                generator = torch.Generator().manual_seed(seed)
                prior = prior_draws.prior_draws(self, weight_prior, torch.as_tensor(x), number, generator)
        return inference_data.to_inference_data(
            self.log_density.numpy(),
            probs,
            input_ids=[str(i) for i in range(count)] if ids is None else list(ids),
            class_names=[str(i) for i in range(k)] if class_names is None else list(class_names),
            rng=np.random.default_rng(seed),
            y=None if y is None else y.numpy(),
            sites=shown,
            sample_stats=stats,
            teacher_names=teacher_names,
            teacher_data=teacher_data,
            labels=None if fitted_to is None else label_terms.label_terms(self, fitted_to),
            log_prior=log_prior,
            prior=prior,
            attrs={**self.meta, **self.info},
        )

    # ---- on disk ---------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> None:
        """Write a folder with `draws.safetensors` and `posterior.json`, all at once or not at all."""
        tensors: dict[str, Tensor] = {"log_density": self.log_density}
        groups = {"values": self.values, "held": self.held, "stats": self.stats, "trace": self.trace}
        for group, content in (groups | {"centre": self.centre or {}}).items():
            tensors |= {f"{group}/{name}": v for name, v in content.items()}
        if self.skeleton is not None:
            tensors |= {f"buffers/{name}": v for name, v in self.skeleton.buffers.items()}
        record = {
            "network": self.spec.to_json() if self.spec else None,
            "student": self.skeleton is not None,
            "info": self.info,
            "meta": self.meta,
        }
        write_folder(Path(path), record, tensors)

    @classmethod
    def load(cls, path: str | Path, network: nn.Module | None = None) -> "Posterior":
        """Read what `save` wrote; the same predictions to the bit.

        network: needed where the student's network was the user's own; checked against the stored shapes.
        Raises `InputError` for a missing or damaged file, or another network.
        """
        path = Path(path)
        record, tensors = read_folder(path)

        def group(name: str) -> dict[str, Tensor]:
            return {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}

        spec = NetworkSpec.from_json(record["network"]) if record["network"] else None
        values, held = group("values"), group("held")
        skeleton = None
        if record["student"]:
            if network is None and spec is None:
                raise InputError(
                    f"posterior at '{path}' has a network of your own; pass it: load(path, network=...)"
                )
            skeleton = Skeleton(network if network is not None else spec.build())  # type: ignore[union-attr]
            stored = {n: tuple(v.shape[2:]) for n, v in values.items()}
            stored |= {n: tuple(v.shape) for n, v in held.items()}
            known = skeleton.shapes
            check_network(
                skeleton, {n: s for n, s in stored.items() if n in known or not n.startswith(PROJECTOR)}
            )
            skeleton.buffers.update(group("buffers"))
        return cls(
            values,
            tensors["log_density"],
            held,
            group("stats"),
            group("trace"),
            record["info"],
            record["meta"],
            skeleton,
            spec,
            group("centre") or None,
        )


def by_site(density: Density, theta: Tensor) -> dict[str, Tensor]:
    """Constrained values `[..., *shape]` on the CPU of flat vectors `[..., D]`, by site."""
    return {site.name: site.constrain(theta)[0].detach().cpu() for site in density.sites}


def check_network(skeleton: Skeleton, stored: dict[str, tuple[int, ...]]) -> None:
    """Raise `InputError` naming the first parameter in which a network differs from the stored one."""
    shapes = {name: tuple(shape) for name, shape in skeleton.shapes.items()}
    for name in [*shapes, *stored]:
        if stored.get(name) != shapes.get(name):
            raise InputError(
                f"posterior of another network: parameter '{name}' is {stored.get(name, 'absent')} in the file and "
                f"{shapes.get(name, 'absent')} in this network; load it into the network it was fitted with"
            )
