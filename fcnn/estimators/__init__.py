"""Networks as scikit-learn estimators: for its pipelines, searches and cross-validation.

``MLPClassifier`` and ``MLPRegressor`` are scikit-learn's perceptrons: change the line that imports
them. ``CNNClassifier`` and ``CNNRegressor`` train any network of fcnn on arrays of any rank. All
need the extra ``sklearn``, and are imported by name: ``from fcnn.estimators import CNNClassifier``.
"""

from .cnn import CNNClassifier as CNNClassifier
from .cnn import CNNRegressor as CNNRegressor
from .mlp import MLPClassifier as MLPClassifier
from .mlp import MLPRegressor as MLPRegressor

__all__ = ["CNNClassifier", "CNNRegressor", "MLPClassifier", "MLPRegressor"]
