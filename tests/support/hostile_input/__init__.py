"""Damaged and malicious files for every reader of the package, and what becomes of them."""
