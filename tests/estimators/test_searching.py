"""What scikit-learn does with estimators: pipelines, searches, cross-validation, metadata."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

import fcnn
from fcnn import dense, flatten, serial
from fcnn.estimators import CNNClassifier, MLPClassifier

TRAIN, TEST = fcnn.data.digits()
X, Y = TRAIN.x.reshape(len(TRAIN.x), -1), TRAIN.y
LINEAR = serial(flatten, dense(10))
IMAGES = {"shape": (-1, 8, 8, 1)}


def pipeline(**options):
    return make_pipeline(
        MinMaxScaler(), FunctionTransformer(np.reshape, kw_args=IMAGES), CNNClassifier(**options)
    )


def linear():
    return pipeline(model=LINEAR, batch_size=128, epochs=20, learning_rate=0.01, random_state=0)


@pytest.mark.slow
def test_a_pipeline_is_cross_validated():
    assert cross_val_score(linear(), X, Y, cv=3).min() > 0.8


def test_a_search_finds_the_rate_that_learns():
    model = make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=15, random_state=0))
    grid = {"mlpclassifier__learning_rate_init": [1e-6, 0.01]}
    with pytest.warns(ConvergenceWarning):
        search = GridSearchCV(model, grid, cv=3, refit=False).fit(X, Y)
    assert search.cv_results_["mean_test_score"].argmax() == 1
    assert search.cv_results_["mean_test_score"][1] > 0.8


def test_weights_are_routed_through_a_pipeline():
    high = Y >= 5
    model = linear()
    assert model.fit(X, Y).score(X[high], Y[high]) > 0.8
    with config_context(enable_metadata_routing=True):
        model[-1].set_fit_request(sample_weight=True)
        model.fit(X, Y, sample_weight=(~high).astype(float))
        assert model.score(X[high], Y[high]) < 0.3


@pytest.mark.slow
def test_importing_fcnn_does_not_import_scikit_learn_and_estimators_say_what_they_need():
    code = (
        "import sys, fcnn; print('sklearn' in sys.modules); sys.modules['sklearn'] = None\n"
        "try:\n    import fcnn.estimators\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "False",
        "sklearn is not installed: pip install 'fcnn[sklearn]'",
    ], done.stderr


@pytest.mark.slow
def test_a_search_in_two_processes_finds_what_one_finds():
    grid = {"cnnclassifier__learning_rate": [1e-6, 3e-3]}
    found = [
        GridSearchCV(pipeline(epochs=3, random_state=0), grid, cv=3, n_jobs=jobs).fit(X, Y)
        for jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in found)
    np.testing.assert_allclose(one, two, atol=2e-3)  # threads may sum in another order
    assert found[1].best_params_ == {"cnnclassifier__learning_rate": 3e-3}
    assert found[1].score(TEST.x.reshape(len(TEST.x), -1), TEST.y) > 0.9


@pytest.mark.slow
def test_the_cnn_beats_the_perceptron_over_ten_splits():
    x, y = np.concatenate([TRAIN.x, TEST.x]), np.concatenate([TRAIN.y, TEST.y])
    flat = x.reshape(len(x), -1)
    splits = StratifiedShuffleSplit(10, test_size=0.3, random_state=0)
    cnn = pipeline(epochs=12, random_state=0)
    mlp = make_pipeline(MinMaxScaler(), MLPClassifier((32, 64, 128), max_iter=500, random_state=0))
    grid = {"cnnclassifier__learning_rate": [1e-3, 5e-3]}
    best = GridSearchCV(cnn, grid, cv=3, n_jobs=2).fit(flat, y).best_estimator_
    scores = [cross_val_score(model, flat, y, cv=splits).mean() for model in (best, mlp)]
    print(f"over 10 splits: CNN {scores[0]:.4f}, MLP {scores[1]:.4f}")
    assert scores[0] > scores[1]
