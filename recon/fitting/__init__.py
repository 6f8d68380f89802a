"""Analysis by synthesis: a morphable model fitted to a photograph, without training."""
