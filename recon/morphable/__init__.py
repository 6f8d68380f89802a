"""3D morphable models: the arrays, their readers, and those that come with the package."""

EMBEDDED, PROCEDURAL, HUMAN = "embedded", "procedural", "human"

PACKAGED_MODELS = (EMBEDDED, PROCEDURAL, HUMAN)
"""Names that `--model` takes in place of a file; `embedded` is the procedural one."""
