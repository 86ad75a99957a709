"""Several processes that share a run's episodes and scenes."""
