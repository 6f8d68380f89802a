"""Frames of a clip: the faces found in them, and their sums by chunk."""
