"""Sets of pairs, and the measurement of one."""
