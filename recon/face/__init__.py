"""The numbers of one face: camera, light and coefficients, and their files."""
