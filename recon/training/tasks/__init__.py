"""What parser, recogniser and landmarker learn, each a task for the one training loop."""
