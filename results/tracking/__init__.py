"""MLflow: the store, runs, comparisons, training curves, server."""
