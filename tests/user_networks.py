"""Networks such as users bring: none is made by this package. All take inputs `[n, 6]` and give `[n, 3]` logits."""

import torch
from torch import Tensor, nn


class Normed(nn.Module):
    """LayerNorm, a parameter of its own, and a buffer that enters a matrix product."""

    def __init__(self, width: int = 5) -> None:
        super().__init__()
        self.body = nn.Linear(6, width)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)
        self.temper = nn.Parameter(torch.zeros(3))
        mixing = torch.eye(6) + 0.1 * torch.ones(6, 6)
        self.register_buffer("mixing", mixing)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.norm(self.body(x @ self.mixing)))) + self.temper


class Tied(nn.Module):
    """Two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(6, 6)
        self.back = nn.Linear(6, 6)
        self.back.weight = self.into.weight
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.back(torch.tanh(self.into(x)))))


class TiedLast(nn.Module):
    """The last layer's only weight is the first layer's."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Linear(6, 3)
        self.shared = nn.Linear(3, 3, bias=False)
        self.head = nn.Linear(3, 3, bias=False)
        self.head.weight = self.shared.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.shared(torch.tanh(self.down(x)))))


class Signal(nn.Sequential):
    """One-dimensional convolutions and GroupNorm."""

    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(1, (2, 3)),
            nn.Conv1d(2, 4, 2),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(8, 3),
        )


class Attentive(nn.Module):
    """A transformer layer over the six inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(1, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
        self.head = nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x[..., None])).flatten(1))


class Recurrent(nn.Module):
    """An LSTM over the six inputs: torch has no batching rule for it."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 3, batch_first=True)
        self.head = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[..., None])[0][:, -1])


class Noisy(nn.Module):
    """Dropout that no layer tells of."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.dropout(x, 0.5, training=True))


class Centred(nn.Module):
    """Subtracts the batch's mean."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x - x.mean(0))


USERS_OWN = (Normed, Tied, Signal, Attentive, Recurrent)


def perceptron(input_shape: tuple[int, ...], num_classes: int, width: int = 4) -> nn.Module:
    """A factory, as configurations name it."""
    return nn.Sequential(nn.Linear(input_shape[0], width), nn.Tanh(), nn.Linear(width, num_classes))


def not_a_network() -> str:
    return "weights"
