"""Teachers that came fitted may have learned from the very rows that they and the student are judged by."""

import warnings

from mtbkd.data.distillation import DistillationData
from mtbkd.teachers import TeachersConfig

# Kinds that come fitted by somebody else, who alone knows to which rows.
BROUGHT = ("skops_file", "torch_module")
MEND = (
    "keep rows that they never saw in a file of their own, data.test_path, or mark them by data.split_column, and this "
    "warning goes"
)


def warn_of_rows_seen(config: TeachersConfig, data: DistillationData, judged: bool) -> None:
    """Warn where teachers came fitted and test rows, or the validation rows that they are judged by, were drawn by
    chance from the same source as the pool.

    judged: whether something is learned of the teachers from validation rows
    """
    brought = [name for name, member in config.all_members.items() if member.get("kind") in BROUGHT]
    if not brought:
        return
    one = len(brought) == 1
    who = f"teacher{'s' * (not one)} {', '.join(brought)} came fitted"
    if "test" in data.drawn:
        warnings.warn(
            f"{who}, and the test rows were drawn by chance from {data.name}: if {'it' if one else 'they'} learned "
            f"from rows of {data.name}, {'its' if one else 'their'} scores here, and the student's with them, flatter; "
            f"{MEND}",
            stacklevel=2,
        )
    elif judged and "validation" in data.drawn:
        warnings.warn(
            f"{who}, and the validation rows by which teachers are judged were drawn by chance from {data.name}: if "
            "they learned from these rows, those who learned by heart are believed too much; mark validation rows that "
            "they never saw by data.split_column, or choose temperature=fixed, weighting=entropy, teachers.select=all",
            stacklevel=2,
        )
