"""That the benchmarks run, compare equal networks and count well; what they find is no test."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn import out_spec, trees
from tests.benchmarks import tables
from tests.benchmarks.__main__ import main
from tests.benchmarks.cases import CASES, MODELS, chosen, example
from tests.benchmarks.measuring import row
from tests.benchmarks.operations import OPERATIONS, operands

UNIQUE = list({case.model: case for case in CASES}.values())


def frameworks(*names):
    """Parameters of a test, skipped where the framework is missing."""
    missing = {name: importlib.util.find_spec(name) is None for name in names}
    return [
        pytest.param(name, marks=pytest.mark.skipif(missing[name], reason=f"no {name}"))
        for name in names
    ]


def side(name, what):
    return importlib.import_module(f"tests.benchmarks.frameworks.{name}_{what}")


def test_the_command_measures_prints_a_table_and_writes_json(tmp_path, capsys):
    file = tmp_path / "result.json"
    what = ["--frameworks", "fcnn", "--models", "conv1d", "--kinds", "inference", "compile"]
    main([*what, "--quick", "--out", str(file)])
    printed = capsys.readouterr().out.splitlines()
    at = printed.index("Inference, ms")
    assert printed[at + 1].split() == ["fcnn"]
    assert printed[at + 2].split()[0] == "conv1d-b64"
    result = json.loads(file.read_text())
    assert {(r["kind"], r["case"]) for r in result["rows"]} == {
        ("inference", "conv1d-b64"),
        ("compile", "conv1d-b64"),
    }
    assert all(r["median"] > 0 and r["framework"] == "fcnn" for r in result["rows"])
    assert result["versions"].keys() == {"fcnn"}


@pytest.mark.parametrize("case", UNIQUE, ids=lambda case: case.model)
def test_the_output_of_a_model_fits_its_target(case):
    model = side("fcnn", "models").build(case)
    out = out_spec(model, jax.ShapeDtypeStruct(case.shape, jnp.float32))
    x, y = example(case)
    assert x.shape == case.shape
    assert out.shape == ((*y.shape, case.classes) if case.classes else y.shape)


@pytest.mark.parametrize("name", frameworks("torch", "keras", "flax", "equinox"))
@pytest.mark.parametrize("case", UNIQUE, ids=lambda case: case.model)
def test_all_frameworks_have_the_same_number_of_parameters(case, name, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    theirs = side(name, "models")
    x = jax.ShapeDtypeStruct(case.shape, jnp.float32)
    params, _ = jax.eval_shape(side("fcnn", "models").build(case).init, jax.random.key(0), x)
    options = ("float32",) if name == "flax" else ()
    model = theirs.MODELS[case.model](case) if name == "torch" else theirs.build(case, *options)
    model = model[0] if name == "equinox" else model
    assert theirs.count(model) == trees.count(params)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lax", *frameworks("torch")])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_the_same_function_everywhere(operation, name):
    few = 2 if operation.function == "batch_norm" else 1
    operation = operation._replace(
        x=(few, *(min(n, 9) for n in operation.x[1:-1]), operation.x[-1])
    )
    arrays = operands(operation)
    ours = side("fcnn", "operations").FUNCTIONS[operation.function](operation, *arrays)
    if name == "lax":
        arrays = map(jnp.asarray, arrays)
        theirs = side("lax", "side").FUNCTIONS[operation.function](operation, *arrays)
    else:
        theirs = in_torch(operation, *arrays)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def in_torch(operation, x, *weights):
    torch = importlib.import_module("torch")
    x, *weights = map(torch.from_numpy, (x, *weights))
    if operation.kernel:
        weights = [weights[0].movedim((-1, -2), (0, 1))]
    function = side("torch", "operations").FUNCTIONS[operation.function]
    return function(operation, x.movedim(-1, 1), *weights).movedim(1, -1).numpy()


def test_names_of_operations_are_unique():
    assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)


def test_models_are_chosen_by_name_and_by_pattern():
    assert [case.name for case in chosen(["mnist_cnn"])] == ["mnist_cnn-b32", "mnist_cnn-b128"]
    assert [case.name for case in chosen(["mnist*-b32", "unet"])] == ["mnist_cnn-b32", "unet-b8"]
    assert chosen([]) == CASES
    with pytest.raises(ValueError, match="no model is called 'vgg'; there are mnist_cnn"):
        chosen(["vgg"])
    assert len(MODELS) == len(UNIQUE)


def test_a_table_shows_medians_ratios_and_their_geometric_means():
    rows = [
        row("train", "a", "fcnn", [0.003, 0.001, 0.002]),
        row("train", "a", "torch", [0.004]),
        row("train", "b", "fcnn", [0.002]),
        row("train", "b", "torch", [0.001]),
        row("train", "b", "flax", [0.004]),
    ]
    lines = [line.split() for line in tables.table(rows, "train").splitlines()]
    assert lines == [
        ["Training", "step,", "ms"],
        ["fcnn", "torch", "flax", "fcnn/torch", "fcnn/flax"],
        ["a", "2", "4", "-", "0.50", "-"],
        ["b", "2", "1", "4", "2.00", "0.50"],
        ["geometric", "mean", "1.00", "0.50"],
    ]
    assert tables.ratios(rows)["train"]["torch"] == {
        "cases": {"a": 0.5, "b": 2.0},
        "geometric_mean": 1.0,
    }


def test_models_that_differ_are_named():
    rows = [
        row("train", "a", "fcnn", [1.0], parameters=10),
        row("train", "a", "torch", [1.0], parameters=11_000),
        row("train", "b", "fcnn", [1.0], parameters=10),
        row("train", "b", "torch", [1.0], parameters=10),
    ]
    assert tables.disagreements(rows) == ["a: parameters differ, fcnn 10, torch 11,000"]
