"""Runs compared, whatever machine they lie on: configurations over seeds, against a baseline, as page and tables.

    compare(folders)        a row a run
    over_seeds(folders)     a row a configuration and score: mean, 95 % t interval, paired difference to the baseline

`mtbkd-compare` makes of them a page, two CSV files and a LaTeX table; a sweep ends with these.
"""

from mtbkd.comparison.comparison import over_seeds
from mtbkd.comparison.table import compare

__all__ = ["compare", "over_seeds"]
