"""The mesh record and its normals."""
