"""One photograph to one face: morphable model, camera, light, renderers, network and losses."""
