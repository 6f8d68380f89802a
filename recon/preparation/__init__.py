"""Photographs to training faces: what happens to one of them, and which of them stay."""
