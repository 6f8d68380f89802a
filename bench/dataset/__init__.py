"""What a dataset is: the items that are measured, and the registry of the sets there are."""
