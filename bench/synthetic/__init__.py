"""Synthetic people in MICC's layout: scans, videos, and the truth beside them."""
