"""Networks that regress coefficients, their checkpoints and ONNX export."""
