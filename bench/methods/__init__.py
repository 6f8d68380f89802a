"""Methods that are built in: a file each, except for those that share one."""

TOGETHER = {"trained": ("genova", "mofa", "ours", "richardson", "tran")}
"""Objects of a file that are methods, by the file's name."""
