"""The optimiser's side of training: steps, schedule, averages, precision."""
