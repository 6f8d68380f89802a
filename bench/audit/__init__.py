"""How far a protocol's numbers are from the true error, where the truth is known."""
