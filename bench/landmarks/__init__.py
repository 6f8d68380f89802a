"""Landmarks of scans and predictions, their files, and regions of the face."""
