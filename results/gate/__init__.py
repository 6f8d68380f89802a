"""Whether a run is good enough: rules from a file, held against its numbers and a baseline's."""
