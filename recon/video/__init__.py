"""Videos: opening with bounds, decoding to frames."""
