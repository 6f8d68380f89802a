"""Registration of a prediction to a scan: initialisation, ICP, non-rigid, nose tip."""
