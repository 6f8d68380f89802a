"""A run's folder: record, ledger of chunks, subjects, summary."""
