"""Geometry of triangle surfaces: closest points, boundary, crop, similarity."""
