"""Action `train_model`: trains on four fifths of the rows and measures accuracy on the fifth it never saw."""

import csv
import hashlib
import json
import os
import random
import sys
import time

import model as network
import taskio


def train(payload):
    epochs, seed, rate = int(payload.get("epochs", 3)), int(payload.get("seed", 7)), float(payload.get("rate", 0.03))
    if not 1 <= epochs <= 1000:
        raise ValueError(f"epochs is {epochs}, must be between 1 and 1000")
    dataset = payload["dataset"]
    rows = read_rows(dataset)
    rng = random.Random(seed)
    rng.shuffle(rows)
    held_out, rows = rows[: len(rows) // 5], rows[len(rows) // 5 :]

    model, loss, started = network.new_model(seed), None, time.monotonic()
    for epoch in range(1, epochs + 1):
        rng.shuffle(rows)
        loss = network.train_epoch(model, rows, rate / epoch)
        print(f"epoch {epoch}/{epochs} loss={loss:.4f} {time.monotonic() - started:.1f}s", file=sys.stderr, flush=True)

    right = sum(network.predict(model, x, y) == label for x, y, label in held_out)
    x, y, _ = held_out[0]
    # Whoever deploys this file asks the deployed copy for the same point and must get the same class.
    model["check"] = {"x": x, "y": y, "class": network.predict(model, x, y)}
    data = json.dumps(model, sort_keys=True).encode()
    digest = hashlib.sha256(data).hexdigest()
    folder = os.path.join(os.path.dirname(os.path.dirname(dataset)), "models")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"model-{digest[:12]}.json")
    taskio.write_whole(path, data)
    return {
        "accuracy": round(right / len(held_out), 4),
        "loss": round(loss, 4),
        "epochs": epochs,
        "testedOn": len(held_out),
        "model": path,
        "sha256": digest,
    }


def read_rows(path):
    with open(path, newline="", encoding="ascii") as file:
        return [(float(row["x"]), float(row["y"]), int(row["class"])) for row in csv.DictReader(file)]


taskio.run(train)
