"""What a photograph is prepared with: face detection and cropping."""
