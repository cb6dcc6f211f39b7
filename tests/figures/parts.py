"""Reports to draw: probabilities of few and of many classes, with mistakes among them."""

import numpy as np

from fcnn.evaluation import classification_report


def made(k=4, n=200, *, names=None, sharpness=3.0, seed=0, **options):
    """The report on random examples of k classes, most of them predicted right."""
    random = np.random.default_rng(seed)
    targets = np.r_[np.arange(k), random.integers(0, k, n - k)]
    logits = random.normal(size=[n, k]) + sharpness * np.eye(k)[targets]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    names = [f"class {i}" for i in range(k)] if names is None else names
    return classification_report(
        targets, probabilities.argmax(1), probabilities=probabilities, classes=names, **options
    )
