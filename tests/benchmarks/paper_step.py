"""What a step of the paper's recipe costs on a CPU: batch 16, ResNet-50, `softras`, 224 px.

Processor seconds on a synthetic batch, without the identity term, which needs a recogniser.

    python tests/benchmarks/paper_step.py --model ict.npz --steps 2
"""

from __future__ import annotations

import argparse
import time

import torch

from facebench.recon.morphable.load import load_model
from facebench.recon.recipes.files import load_recipe
from facebench.recon.synthetic.faces import FaceSampler
from facebench.recon.training.batches import collate
from facebench.recon.training.methods.ours import Trainer
from facebench.recon.training.shards import Sample
from facebench.recon.training.workers import Worker

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load_model(arguments.model)
    recipe = load_recipe("ours", ["loss.weights.identity=0"])
    sampler = FaceSampler(model, 3, recipe.network.image_size)
    faces = [sampler.face(person, 0) for person in range(BATCH)]
    batch = collate([Sample(face.image, face.landmarks, face.mask) for face in faces])
    trainer = Trainer(recipe, model, Worker())
    for step in range(arguments.steps):
        start = time.process_time()
        trainer.training_step(batch)
        print(f"step {step + 1}: {time.process_time() - start:.1f} processor seconds", flush=True)
    whole = recipe.training.steps
    print(f"{model.n_vertices} vertices; the recipe has {whole} steps")


if __name__ == "__main__":
    main()
