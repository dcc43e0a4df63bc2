"""Studies that produce the README's tables, one command each."""
