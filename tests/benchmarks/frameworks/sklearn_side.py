"""scikit-learn's perceptron, which never stops early here."""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from ..cases import MLPS, RATE, Settings, marginal


def mlp(case: str, few: int, many: int, settings: Settings) -> float:
    perceptron = MLPS[case]
    x, y = perceptron.load()

    def fit(epochs: int) -> float:
        model = MLPClassifier(
            perceptron.hidden,
            batch_size=perceptron.batch_size,
            learning_rate_init=RATE,
            max_iter=epochs,
            tol=0,
            n_iter_no_change=many + 1,
        )
        start = time.perf_counter()
        model.fit(x, y)
        return time.perf_counter() - start

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return marginal(fit, few, many)
