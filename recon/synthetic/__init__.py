"""Labelled pictures of people made from a morphable model: every truth is known."""
