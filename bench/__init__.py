"""What is measured: datasets, methods, the protocol and its scores."""
