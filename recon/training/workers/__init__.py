"""Several training workers: process group, shared batch normalisation."""
