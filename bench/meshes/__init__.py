"""From a file to a mesh that can be measured: reading, units, cleaning, checks."""
