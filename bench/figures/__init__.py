"""What the figures show and measure: photographs, the faces found in them, and their numbers."""
