"""Open3D without its viewer's web framework, and its viewer with it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from facebench.bench.surface.o3d import o3d
assert not {"dash", "plotly", "plotly.graph_objects"} & set(sys.modules)
ball = o3d.geometry.TriangleMesh.create_sphere(1.0)
figure = o3d.visualization.get_plotly_fig([ball])
import plotly.graph_objects
assert isinstance(figure, plotly.graph_objects.Figure) and len(figure.data) == 1
"""


def test_the_viewer_s_framework_is_imported_when_it_is_used() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
