"""Search over a convolutional network inside a scikit-learn pipeline, in two processes.

Command:  python examples/sklearn_pipeline.py
Data:     1,797 scans of 8x8 pixels that come with scikit-learn, a fifth held out
Seen:     test accuracy 0.9889, of a perceptron 0.9639; 37 s in all on two CPU cores
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from fcnn import conv, dense, dropout, flatten, max_pool, relu, serial
from fcnn.estimators import CNNClassifier, MLPClassifier


def network(width):
    return serial(
        conv(width, 3), relu, max_pool(2),
        conv(2 * width, 3), relu, max_pool(2),
        flatten, dropout(0.2), dense(10),
    )  # fmt: skip


x, y = load_digits(return_X_y=True)
x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("images", FunctionTransformer(np.reshape, kw_args={"shape": (-1, 8, 8, 1)})),
        ("cnn", CNNClassifier(epochs=15, random_state=0)),
    ]
)
grid = {
    "cnn__model": [network(8), network(32)],
    "cnn__learning_rate": [3e-4, 3e-3],
}
search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(x, y)
for options, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    layers = str(options["cnn__model"]).split(",")[0].removeprefix("serial(")
    print(f"{layers}), learning rate {options['cnn__learning_rate']}: {score:.4f}")
print(f"the best of them: test accuracy {search.score(x_test, y_test):.4f}")

mlp = MLPClassifier((32, 64, 128), max_iter=500, random_state=0).fit(x, y)
print(f"a perceptron, {mlp.n_iter_} epochs: test accuracy {mlp.score(x_test, y_test):.4f}")
