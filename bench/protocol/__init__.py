"""The protocol of a number: its settings, presets and digest."""
