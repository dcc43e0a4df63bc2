"""All ways of listening to several teachers, compared at equal strength: six tables, one command each."""
