"""Texture coordinates, texture sampled from photographs, and its blending."""
