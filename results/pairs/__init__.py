"""Run folders of pairs of meshes, and their pictures."""
