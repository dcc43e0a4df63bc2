"""A deep ensemble trained by the run: each network is one draw of a Bayesian teacher (Lakshminarayanan 2017)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, require_at_least, require_choice, require_positive
from mtbkd.layer_outputs import features_of, layer_paths
from mtbkd.progress import Progress
from mtbkd.teachers.coverage import known_of
from mtbkd.teachers.fingerprint import fingerprint, library, seed_of
from mtbkd.teachers.inputs import viewed
from mtbkd.teachers.networks import CNNs, StackedMLP
from mtbkd.teachers.shares import check_share, training_rows
from mtbkd.teachers.teacher import Recipe, Teacher

VERSION = 1
_PREDICT_ROWS = 1024


@dataclass(frozen=True)
class EnsembleConfig:
    """members: number of networks, 1 is a point teacher; network: `mlp` or `cnn`; hidden, channels: widths;
    epochs, batch_size, learning_rate, weight_decay: of AdamW with a cosine schedule; share: of the pool; classes: names
    of those that it is trained on, empty for all; view: of the data that it is shown, null for the student's inputs."""

    members: int = 5
    network: str = "mlp"
    hidden: list[int] = field(default_factory=lambda: [64])
    channels: list[int] = field(default_factory=lambda: [16, 32])
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    share: list[float] = field(default_factory=lambda: [0.0, 1.0])
    classes: list[str] = field(default_factory=list)
    view: str | None = None

    def __post_init__(self) -> None:
        require_choice("network", self.network, ("mlp", "cnn"))
        require_at_least(1, members=self.members, epochs=self.epochs, batch_size=self.batch_size)
        require_at_least(1, **{f"hidden[{i}]": width for i, width in enumerate(self.hidden)})
        require_at_least(1, **{f"channels[{i}]": width for i, width in enumerate(self.channels)})
        require_positive(learning_rate=self.learning_rate)
        require_at_least(0, weight_decay=self.weight_decay)
        check_share(self.share)
        if self.network == "cnn" and not self.channels:
            raise InputError("channels is empty; give a cnn at least one width")


def build(name: str, config: EnsembleConfig, data: DistillationData, seed: int) -> Teacher:
    """The recipe of an ensemble trained on its share of the pool; all members see the same rows."""
    x, y = training_rows(name, data, config.share, seed, config.classes, config.view)
    own_seed = seed_of(seed, name)
    network = _network(config, x.shape[1:], data.num_classes, own_seed)
    identity = fingerprint(
        kind="ensemble",
        version=VERSION,
        library=library("torch"),
        config=asdict(config),
        seed=own_seed,
        x=x,
        y=y,
        classes=data.num_classes,
    )

    def train(progress: Progress) -> Teacher:
        trained = _trained(name, network, x, y, config, own_seed, progress)
        return EnsembleTeacher(name, identity, trained, config.view)

    known = known_of(y.tolist(), data.num_classes)
    return Recipe(name, identity, train, layers=layer_paths(network.member(0)), known=known)


@dataclass(frozen=True)
class EnsembleTeacher:
    """Trained networks that map inputs `[M, n, ...]` to logits `[M, n, K]`; view: that they are shown, None: x."""

    name: str
    fingerprint: str
    network: StackedMLP | CNNs
    view: str | None = None

    def predict(self, rows: Rows) -> Tensor:
        """Logits `[M, n, K]`, a draw a network; `[n, K]` for one network."""
        members = self.network.num_members
        with torch.no_grad():
            parts = [self.network(x.expand(members, *x.shape)) for x in self._batches(rows)]
        z = torch.cat(parts, 1)
        return z[0] if members == 1 else z

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of a network's layers."""
        return layer_paths(self.network.member(0))

    def features(self, rows: Rows, layers: Sequence[str]) -> dict[str, Tensor]:
        """What the first network's layers give, `[n, F]` each."""
        return features_of(self.network.member(0), self._batches(rows), layers)

    def size(self) -> tuple[int | None, int | None]:
        stored = sum(p.numel() for p in self.network.parameters())
        return stored // self.network.num_members, 4 * stored

    def _batches(self, rows: Rows) -> tuple[Tensor, ...]:
        return viewed(self.name, rows, self.view).split(_PREDICT_ROWS)


def _network(
    config: EnsembleConfig, input_shape: Sequence[int], num_classes: int, seed: int
) -> StackedMLP | CNNs:
    with torch.random.fork_rng(devices=[]):  # torch's layers draw their start from the global generator
        torch.manual_seed(seed)
        if config.network == "mlp":
            return StackedMLP(config.members, input_shape, config.hidden, num_classes)
        return CNNs(config.members, input_shape, config.channels, config.hidden, num_classes)


def _trained(
    name: str,
    network: StackedMLP | CNNs,
    x: Tensor,
    y: Tensor,
    config: EnsembleConfig,
    seed: int,
    progress: Progress,
) -> StackedMLP | CNNs:
    """Every member sees every row once an epoch, in an order of its own."""
    generator = torch.Generator().manual_seed(seed)
    n, size = len(x), config.batch_size
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    batches = -(-n // size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * batches)
    with progress.stage(f"training {name}", config.epochs * batches) as advance:
        for _ in range(config.epochs):
            orders = torch.rand(network.num_members, n, generator=generator).argsort(1)
            for rows in orders.split(size, 1):
                logits = network(x[rows])
                # The sum over members of each one's mean: members stay independent.
                loss = nn.functional.cross_entropy(logits.flatten(0, 1), y[rows].flatten(), reduction="sum")
                optimiser.zero_grad()
                (loss / rows.shape[1]).backward()
                optimiser.step()
                schedule.step()
                advance(loss=loss.detach() / rows.numel())
    return network
