"""3D morphable models: the arrays, their readers and the embedded procedural model."""
