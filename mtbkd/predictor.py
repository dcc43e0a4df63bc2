"""A finished student away from its run: columns of a table in, class probabilities with their uncertainty out.

It is two things in one folder: `posterior/`, the draws of the student's weights, and `inputs.json`, how columns become
inputs. Reading and predicting take torch and Pyro alone (pandas too for files, scikit-learn for a column of text).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import nn

from mtbkd.data.table_encoding import TableEncoding
from mtbkd.errors import InputError
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary, summarise

if TYPE_CHECKING:
    import pandas

FORMAT = 1
INPUTS = "inputs.json"


@dataclass(frozen=True)
class Reading:
    """How files of the table are read. id_column: names the rows; decimal: of numbers in a .csv; array: of an .npz's
    inputs."""

    id_column: str | None = None
    decimal: str = "point"
    array: str = "x"


@dataclass(frozen=True)
class Inputs:
    """What `inputs.json` holds."""

    class_names: tuple[str, ...]
    encoding: TableEncoding
    reading: Reading = field(default_factory=Reading)

    def write(self, folder: Path) -> None:
        """Write `inputs.json` into the folder, whole or not at all."""
        record = {
            "format": FORMAT,
            "class_names": self.class_names,
            "encoding": self.encoding.record(),
            "reading": asdict(self.reading),
        }
        temporary = folder / f".{INPUTS}"
        temporary.write_text(json.dumps(record, indent=1))
        temporary.replace(folder / INPUTS)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `write` wrote; raises `InputError` where it is missing or damaged."""
        file = folder / INPUTS
        if not folder.is_dir():
            raise InputError(f"no folder '{folder}'; give the folder of a finished run (its hydra.run.dir)")
        try:
            record = json.loads(file.read_text())
            if record["format"] != FORMAT:
                raise InputError(f"'{file}' has format {record['format']}; this version reads {FORMAT}")
            encoding = TableEncoding.of_record(record["encoding"])
            return cls(tuple(record["class_names"]), encoding, Reading(**record["reading"]))
        except FileNotFoundError as error:
            raise InputError(
                f"'{folder}' has no {INPUTS}: it is no finished run on a table (data=table); of other data, take "
                "Posterior.load and its inputs"
            ) from error
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"'{file}' is damaged or cut short ({error}); do the run again") from error


@dataclass(frozen=True)
class Predictor:
    """A student of a table with what makes its inputs of columns.

    posterior: of the student's weights; inputs: how columns become what it sees, and what its classes are called
    """

    posterior: Posterior
    inputs: Inputs

    @classmethod
    def load(cls, folder: str | Path, network: nn.Module | None = None) -> Self:
        """The student of a finished run on a table.

        folder: of the run, or a copy of its `posterior/` and `inputs.json`
        network: needed where the student's network was the user's own
        Raises `InputError` for a missing or damaged file, or another network.
        """
        folder = Path(folder).expanduser()
        inputs = Inputs.read(folder)
        return cls(Posterior.load(folder / "posterior", network), inputs)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the K classes are called."""
        return self.inputs.class_names

    def predict(self, table: "Mapping[str, Any] | pandas.DataFrame") -> Prediction:
        """Posterior draws of the class probabilities, `.probs [S, n, K]`, with their uncertainties and intervals.

        table: a data frame, or any `{column: [n] values}`, with the columns that the student learned from
        Raises `InputError` naming column and row for what it cannot be shown.
        """
        return self.posterior.predict(self.inputs.encoding.encode(table))

    def summary(
        self, table: "Mapping[str, Any] | pandas.DataFrame", what: str = "the table"
    ) -> PredictionSummary:
        """The same without draws, which of many rows would not fit into memory; what: how errors call the table."""
        return summarise(self.posterior, self.inputs.encoding.encode(table, what), len(self.class_names))

    def predict_file(self, path: str | Path) -> "pandas.DataFrame":
        """A row for each of the file's, called by its id or its number (`id`): the most probable class (`predicted`),
        the probability of each (`p_CLASS`), total and epistemic uncertainty in nats (empty of a point, which has none).

        Raises `InputError` for a missing or damaged file, and as `predict` does.
        """
        import pandas

        from mtbkd.data.npz import existing
        from mtbkd.data.table_files import read_columns

        found = existing(str(path), "table")
        encoding, reading = self.inputs.encoding, self.inputs.reading
        text = [reading.id_column] if reading.id_column else []
        if found.suffix.lower() != ".parquet":  # which tells itself what is text
            text += [*encoding.categories, *encoding.words]
        frame = read_columns(found, text, decimal=reading.decimal, array=reading.array)
        said = self.summary(frame, str(found))
        named = reading.id_column is not None and reading.id_column in frame
        table: dict[str, Any] = {"id": frame[reading.id_column].to_numpy() if named else range(len(frame))}
        table["predicted"] = [self.class_names[k] for k in said.labels.tolist()]
        table |= {f"p_{name}": said.mean[:, k].numpy() for k, name in enumerate(self.class_names)}
        table["total"] = said.total.numpy()
        table["epistemic"] = said.epistemic.numpy() if said.num_draws > 1 else None
        return pandas.DataFrame(table)
