"""What each method of this family learns from: its batches and its loss."""
