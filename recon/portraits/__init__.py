"""Photographs and videos to faces: tracks, ledger, sheet."""
