"""Datasets, one file each: how a folder is laid out, and what is known of it."""
