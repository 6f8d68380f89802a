"""What fits of a face model reach on photographs with reference landmarks.

fitted_photographs.py FOLDER [MODEL …] [--deviation PX]: FOLDER holds `photographs/` and
`reference.json` ({photograph: {"faces": [{"landmarks": 68 points, "references_agree": bool}]}}).
Printed per model and detector (`embedded`, or the reference itself): landmarks of the fitted face
against the reference, inner 51, in % of the distance of the outer eye corners; the slope of mouth
openings; identity AUC over photographs whose names say who (NAME_NUMBER); processor seconds a face.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from facebench.recon.face.crop import box_of_points, crop_square, crop_window
from facebench.recon.fitting.fitter import CropFitter, box_of_crop
from facebench.recon.fitting.solver import FittingSettings
from facebench.recon.morphable.load import load_model

SIZE = 224
INNER = slice(17, 68)


def read_faces(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64], list[str]]:
    """Crops (B, S, S, 3), reference landmarks (B, 68, 2) in crop pixels, and who is seen."""
    reference = json.loads((folder / "reference.json").read_text())
    crops, points, names = [], [], []
    for name, entry in sorted(reference.items()):
        path = folder / "photographs" / name
        faces = [face for face in entry["faces"] if face.get("references_agree")]
        if not path.is_file() or not faces:
            continue
        frame = np.asarray(Image.open(path).convert("RGB"))
        for face in faces:
            landmarks = np.array(face["landmarks"], np.float64)
            box = box_of_points(landmarks)
            window = crop_window(box)
            crops.append(crop_square(frame, box, SIZE))
            inside = (landmarks + 0.5 - [window.left, window.top]) * SIZE / window.side - 0.5
            points.append(inside)
            names.append(name)
    return np.stack(crops), np.stack(points), names


def opening(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Height between the inner lips over the distance of the outer eye corners (B,)."""
    height = np.linalg.norm(points[:, 62] - points[:, 66], axis=1)
    return height / np.linalg.norm(points[:, 36] - points[:, 45], axis=1)


def measure(
    model: str,
    reference: bool,
    folder: tuple[NDArray[np.uint8], NDArray[np.float64], list[str]],
    settings: FittingSettings,
) -> str:
    """A row of the table."""
    crops, points, _ = folder
    fitter = CropFitter(load_model(model), SIZE, settings=settings)
    if reference:
        found = points.astype(np.float32)
    else:
        found = fitter.detector.landmarks(list(crops), [box_of_crop(SIZE)] * len(crops))
    began = time.process_time()
    images = torch.tensor(crops).permute(0, 3, 1, 2).float() / 255.0
    fit = fitter.fitter.fit(images, torch.tensor(found).permute(1, 2, 0))
    seconds = (time.process_time() - began) / len(crops)
    fitted = fitter.fitter.face.landmarks(fit.coefficients).permute(2, 0, 1).double().numpy()
    eyes = np.linalg.norm(points[:, 36] - points[:, 45], axis=1)
    errors = 100 * np.linalg.norm(fitted - points, axis=2)[:, INNER].mean(axis=1) / eyes
    slope, _ = np.polyfit(opening(points), opening(fitted), 1)
    detected = 100 * np.linalg.norm(found - points, axis=2)[:, INNER].mean(axis=1) / eyes
    size = fit.coefficients.identity.square().mean().sqrt()
    lowest = float((fit.coefficients.expression < -0.2).float().mean())
    return (
        f"{model:12} {'reference' if reference else 'embedded':10} {np.median(errors):5.2f} "
        f"{np.mean(errors):5.2f} {100 * (errors > 10).mean():4.0f}% {np.median(detected):6.2f} "
        f"{slope:6.2f} {np.corrcoef(opening(points), opening(fitted))[0, 1]:5.2f} "
        f"{float(size):5.2f} {100 * lowest:4.0f}% {seconds:5.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=["procedural", "human"])
    parser.add_argument("--deviation", type=float, default=FittingSettings().landmark_deviation)
    options = parser.parse_args()
    faces = read_faces(options.folder)
    settings = replace(FittingSettings(), landmark_deviation=options.deviation)
    print(f"{len(faces[0])} faces; landmark deviation {options.deviation:g} px")
    print("model        landmarks  median  mean  >10%  det.   mouth     r  |id|  <-.2  s")
    for model in options.models:
        for reference in (False, True):
            print(measure(model, reference, faces, settings), flush=True)


if __name__ == "__main__":
    main()
