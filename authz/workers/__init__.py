"""Several processes that answer checks, and the one that keeps them alive and on the same policy."""
