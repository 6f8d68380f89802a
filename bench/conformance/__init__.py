"""Does a method keep to what the benchmark asks of it: one finding a check, each with advice."""
