"""Runs compared, whatever machine they lie on: configurations over seeds, against a baseline, as page and tables.

compare(folders)        a row a run
over_seeds(folders)     a row a configuration and score: mean, 95 % t interval, paired difference to the baseline
write(folders)          comparison.html, comparison.csv, comparison_means.csv and comparison.tex
"""

from mtbkd.comparison.table import compare

__all__ = ["compare"]
