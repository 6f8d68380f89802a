"""Training photographs: shards, order, augmentation, batches."""
