"""What a reconstruction method is, and the registry of those there are."""
