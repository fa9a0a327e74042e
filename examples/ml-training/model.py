"""A small neural network: two inputs, one hidden layer, one output, trained by plain stochastic gradient descent."""

import math
import random

HIDDEN = 12


def new_model(seed):
    rng = random.Random(seed)
    return {
        "hidden": [[rng.uniform(-1, 1) for _ in range(3)] for _ in range(HIDDEN)],  # weight x, weight y, bias
        "output": [rng.uniform(-1, 1) for _ in range(HIDDEN)],
        "bias": 0.0,
    }


def probability(model, x, y):
    """How likely the point is of class 1."""
    activations = (math.tanh(wx * x + wy * y + b) for wx, wy, b in model["hidden"])
    score = model["bias"] + sum(w * a for w, a in zip(model["output"], activations))
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def predict(model, x, y):
    return int(probability(model, x, y) >= 0.5)


def train_epoch(model, rows, rate):
    """One pass over the rows, one step per row; returns the mean cross-entropy seen on the way."""
    hidden, output, loss = model["hidden"], model["output"], 0.0
    tanh, exp, log = math.tanh, math.exp, math.log
    for x, y, label in rows:
        activations = [tanh(wx * x + wy * y + b) for wx, wy, b in hidden]
        score = model["bias"]
        for weight, activation in zip(output, activations):
            score += weight * activation
        p = 1 / (1 + exp(-max(-30.0, min(30.0, score))))
        loss -= log(max(p if label else 1 - p, 1e-12))
        step = rate * (p - label)
        model["bias"] -= step
        for unit, activation in enumerate(activations):
            back = step * output[unit] * (1 - activation * activation)
            output[unit] -= step * activation
            row = hidden[unit]
            row[0] -= back * x
            row[1] -= back * y
            row[2] -= back
    return loss / len(rows)
