"""From a recipe to a run: rows, stages, the store in which finished stages are looked up."""
