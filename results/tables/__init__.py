"""Tables of runs, with intervals and paired tests."""
