"""From two registered surfaces to distances, scores and statistics."""
