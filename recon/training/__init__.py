"""Weakly supervised training in pure PyTorch: data, step, state, validation."""
