"""Networks with the state-dict names of the public weights."""
