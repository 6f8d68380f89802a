"""The terms of the training loss: pixels, landmarks, identity and prior."""
