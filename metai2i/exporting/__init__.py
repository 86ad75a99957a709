"""Runs and models taken elsewhere: what `metai2i export` and `metai2i card` do."""
