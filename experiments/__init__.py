"""Studies that produce the tables of README and docs, one command each."""
