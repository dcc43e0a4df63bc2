"""All ways of listening to several teachers, compared at equal strength: six tables, a command each.

    python -m experiments.listening.weightings   every rule on every data set
    python -m experiments.listening.broken       teachers that are wrong on purpose
    python -m experiments.listening.labels       from 1 % to 100 % of the labels, with and without unlabelled rows
    python -m experiments.listening.numbers      from 1 to 16 teachers
    python -m experiments.listening.coverage     credible intervals against known probabilities
    python -m experiments.listening.shift        inputs that get worse

Each tells first how long it takes, runs sweeps of `mtbkd` as a person would type them (in outputs/listening), and
leaves NAME.csv, NAME.md and NAME.svg in experiments/results/listening. It goes on where it was stopped, on another
machine too: a run whose rows of the same settings are in NAME.csv is done, and `--only` adds some sweeps' to them.
`--quick` is to see that all works: some 20 minutes for the six with `--jobs 2`; without it they are a day of one core.
"""
