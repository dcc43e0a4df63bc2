"""The files of a comparison: a page, a CSV of the runs, one of the means over seeds, a LaTeX table."""

from collections.abc import Sequence
from pathlib import Path

from mtbkd.comparison.comparison import Comparison, means_table
from mtbkd.comparison.latex import latex_table
from mtbkd.comparison.page import page
from mtbkd.comparison.table import table_of
from mtbkd.report.csv_data import without_formulas
from mtbkd.report.render import write_whole


def write_files(found: Comparison, folder: Path, places: Sequence[Path]) -> list[Path]:
    """Write all four into the folder, means and LaTeX where a run is finished; returns their paths, the page first.

    places: the folders that were compared, for the title
    """
    folder.mkdir(parents=True, exist_ok=True)
    title = f"Comparison · {', '.join(place.resolve().name for place in places)}"
    texts = {"comparison.csv": without_formulas(table_of(found.runs).to_csv(index=False))}
    if found.rows:
        texts |= {"comparison_means.csv": without_formulas(means_table(found).to_csv(index=False))}
        texts |= {"comparison.tex": latex_table(found)}
    written = [write_whole(folder / name, text) for name, text in texts.items()]
    return [write_whole(folder / "comparison.html", page(found, title, folder)), *written]
