"""Detection, landmarks and reconstruction held to landmarks of real photographs."""
