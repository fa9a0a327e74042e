"""Action `prepare_data`: makes two interleaved half-moons of points, the same for the same seed, as a CSV file."""

import math
import os
import random

import taskio


def prepare(payload):
    samples = int(payload.get("samples", 200_000))
    noise = float(payload.get("noise", 0.25))
    seed = int(payload.get("seed", 7))
    if not 100 <= samples <= 1_000_000:
        raise ValueError(f"samples is {samples}, must be between 100 and 1000000")
    if noise < 0:
        raise ValueError(f"noise is {noise}, must not be negative")

    rng = random.Random(seed)
    lines = ["x,y,class\n"]
    for index in range(samples):
        label = index % 2
        angle = rng.uniform(0, math.pi)
        x, y = (1 - math.cos(angle), 0.5 - math.sin(angle)) if label else (math.cos(angle), math.sin(angle))
        lines.append(f"{x + rng.gauss(0, noise):.6f},{y + rng.gauss(0, noise):.6f},{label}\n")

    name = f"{payload.get('dataset', 'moons')}-{samples}-{noise:g}-{seed}.csv"
    path = os.path.join(taskio.folder(payload, "data"), name)
    taskio.write_whole(path, "".join(lines).encode())
    return {"path": path, "rows": samples, "classes": 2}


taskio.run(prepare)
