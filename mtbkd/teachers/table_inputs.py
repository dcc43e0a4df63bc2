"""What a scikit-learn model that was fitted to a table is shown: the columns that it knows, as they were read."""

from typing import TYPE_CHECKING, Any

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.errors import InputError, nearest

if TYPE_CHECKING:
    import pandas

# What scikit-learn says of inputs that a model cannot be shown, and what helps.
MENDS = {
    "unknown categor": "fit it with OneHotEncoder(handle_unknown='ignore')",
    "contains NaN": "put a SimpleImputer into its pipeline, or fill the gaps in the table",
    "could not convert string to float": "put a ColumnTransformer that encodes text columns into its pipeline",
    "has no attribute": "it may come from another version of scikit-learn: fit and dump it with this one",
}


def inputs_of(name: str, estimator: Any, data: DistillationData) -> str:
    """What a fitted model that was brought expects of these data: `table` where it knows its columns by name, `raw`
    numbers where it was fitted to an array of a table's, `transformed` where the data are no table.

    Raises `InputError` for a model without names where the table holds more than numbers.
    """
    rows = data.pool
    if rows.table is None or not hasattr(estimator, "classes_"):  # one that is not fitted says so when asked
        return "transformed"
    if hasattr(estimator, "feature_names_in_"):
        return "table"
    if rows.raw is not None and rows.raw.dtype.kind in "biuf":
        return "raw"
    raise InputError(
        f"teacher '{name}': was fitted without column names, and '{data.name}' holds more than numbers; fit it to a "
        "data frame, so that its columns are found by name"
    )


def columns_of(name: str, rows: Rows, estimator: Any) -> "pandas.DataFrame":
    """The columns that the model was fitted to, `[n]` rows; raises `InputError` naming one that is not there."""
    if rows.table is None:
        raise InputError(
            f"teacher '{name}': these data keep no table, as they came or after their augmentation; choose "
            "augmentation=none, or inputs: transformed"
        )
    return own_columns(name, rows.table, estimator)


def own_columns(name: str, table: Any, estimator: Any) -> Any:
    """Of a table, the columns that the model was fitted to, in their order; all of them where it does not tell.

    Raises `InputError` naming one that is not there.
    """
    if not hasattr(estimator, "feature_names_in_"):
        return table
    wanted = [str(column) for column in estimator.feature_names_in_]
    for column in wanted:
        if column not in table.columns:
            raise InputError(
                f"teacher '{name}': was fitted to a column '{column}', which the table lacks (target and split are "
                f"never shown); {nearest(column, table.columns)}"
            )
    return table[wanted]


def mend_of(error: str) -> str:
    """What helps where a model fails on its inputs."""
    found = [mend for said, mend in MENDS.items() if said in error]
    return found[0] if found else "give it the inputs that it was fitted to"
