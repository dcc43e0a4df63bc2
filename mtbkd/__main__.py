"""`python -m mtbkd` is `mtbkd`."""

from mtbkd.cli import main

main()
