"""One prediction against one scan, and sets of such pairs."""
