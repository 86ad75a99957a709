"""From files to batches: decoding, caches, sampling, augmentation."""
