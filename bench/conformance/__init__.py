"""Conformance of methods and datasets to their interfaces: one finding per check, with advice."""
