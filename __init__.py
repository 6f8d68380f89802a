"""facebench: train, measure and compare 3D face reconstruction from one photograph."""

__version__ = "0.2.0"
