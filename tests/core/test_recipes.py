import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fcnn.core import (
    build,
    cast,
    concat,
    frozen,
    function,
    identity,
    layer,
    recipes,
    repeat,
    residual,
    serial,
)
from fcnn.core.recipes import as_data

from .parts import linear

NAMES = {
    "serial": serial,
    "repeat": repeat,
    "residual": residual,
    "identity": identity,
    "cast": cast,
}


def test_a_layer_prints_as_the_code_that_made_it():
    model = serial(cast("float32"), residual(serial(cast(jnp.float32)), skip=identity), n=identity)
    text = "serial(cast('float32'), residual(serial(cast('float32')), skip=identity), n=identity)"
    assert repr(model) == text
    assert repr(eval(text, NAMES)) == text  # noqa: S307


def test_a_recipe_survives_json():
    model = serial(linear(4), repeat(linear(4), n=2), cast("float32"))
    data = json.loads(json.dumps(model.recipe.to_json()))
    again = build(data)
    assert again.recipe == model.recipe
    x = jnp.ones((2, 3))
    params, state = model.init(jax.random.key(0), x)
    np.testing.assert_array_equal(
        model.apply(params, state, x)[0], again.apply(params, state, x)[0]
    )


def test_arguments_become_data():
    assert as_data([1, 2.5, True, None, "a"]) == (1, 2.5, True, None, "a")
    assert as_data(np.float32(0.5)) == 0.5
    assert as_data(np.array([[1, 2]])) == ((1, 2),)
    assert as_data(jnp.array([1.0])) == (1.0,)
    assert as_data(jnp.bfloat16) == "bfloat16"
    assert as_data(np.dtype("int8")) == "int8"
    assert as_data({"a": (1,)}) == {"a": (1,)}


def test_a_lambda_has_no_recipe_and_is_shown_by_where_it_was_written():
    model = serial(linear(4), lambda x: x)
    assert model.recipe is None
    assert "<lambda at test_recipes.py:" in repr(model)
    with pytest.raises(
        ValueError, match=r"cannot be stored as data: <lambda at test_recipes.py:\d+>"
    ):
        model.made_by.to_json()


def test_a_private_function_a_large_array_and_infinity_have_no_recipe():
    def private(x):
        return x

    assert serial(private).recipe is None
    assert as_data(np.zeros(5000)).text == "<array (5000,)>"
    assert frozen(serial(identity, a=private)).recipe is None
    assert repr(as_data(float("inf"))) == "inf"


def test_a_layer_of_ones_own_is_recorded_under_its_namespace():
    @layer(name="test:twice")
    def twice(features):
        return serial(linear(features), linear(features))

    assert twice(3).recipe.to_json() == {"call": "test:twice", "args": [3], "options": {}}
    assert build(twice(features=3).recipe) is not None


def test_the_namespace_is_the_module_unless_it_is_given():
    def make():
        return serial(identity)

    make.__module__ = "lab.blocks"
    assert layer(make)().recipe.name == "lab:make"
    with pytest.raises(ValueError, match="needs a namespace, such as 'lab:make'"):
        layer(make, name="make")


def test_a_cell_that_is_run_twice_registers_its_layer_anew():
    for scale in (1, 2):

        @layer(name="test:again")
        def again(scale=scale):
            return serial(lambda x: x * scale)

    assert (
        build({"call": "test:again", "args": [], "options": {}}).apply({}, {}, jnp.ones(()))[0] == 2
    )


def test_two_modules_cannot_share_a_name(monkeypatch):
    for registry in ("_FUNCTIONS", "_NAMES"):  # what is entered here is gone afterwards
        monkeypatch.setattr(recipes, registry, dict(getattr(recipes, registry)))

    def first(x):
        return x

    def second(x):
        return x

    first.__module__, second.__module__ = "test_one", "test_two"
    function(first, name="test:shared")
    with pytest.raises(ValueError, match="test_one has a 'test:shared' already"):
        function(second, name="test:shared")


def test_a_constructor_must_return_a_layer():
    with pytest.raises(TypeError, match="must return a Layer"):
        layer(lambda: 3, name="test:three")()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"call": "no_such", "args": [], "options": {}}, "no layer is called 'no_such'"),
        ({"call": "lab:missing", "args": [], "options": {}}, "import the code that decorates it"),
        ({"function": "system"}, "no function is called 'system'"),
        ({"call": "os.system", "args": ["true"], "options": {}}, "no layer is called 'os.system'"),
        ({"call": "serial", "args": []}, "not part of a recipe"),
        ({"call": "serial", "args": [], "options": {}, "more": 1}, "not part of a recipe"),
        ({"surprise": 1}, "not part of a recipe"),
        (3, "not the recipe of a layer"),
        ({"function": "identity"}, "not the recipe of a layer"),
    ],
)
def test_what_is_no_recipe_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        build(data)


def test_recipes_are_equal_where_the_constructor_receives_the_same():
    assert repeat(linear(4), 2).recipe == repeat(n=2, body=linear(features=4)).recipe
    assert residual(identity).recipe == residual(identity, skip=identity).recipe
    assert residual(identity).recipe != residual(identity, skip=jnp.tanh).made_by
    assert concat(identity).recipe == concat(identity, axis=-1).recipe
    assert concat(identity).recipe != concat(identity, axis=1).recipe
    assert serial(linear(4)).recipe != serial(linear(5)).recipe
    assert linear(4).recipe != "linear(4)"


def test_the_order_of_named_layers_is_part_of_a_recipe():
    a, b = linear(4), cast("float32")
    assert serial(a=a, b=b).recipe == serial(a=a, b=b).recipe
    assert serial(a=a, b=b).recipe != serial(b=b, a=a).recipe


def test_equal_recipes_have_equal_hashes():
    @layer(name="test:mapped")
    def mapped(options, rates=(0.5,)):
        return serial(identity)

    recipes = {mapped({"a": [1, 2]}).recipe, mapped({"a": (1, 2)}, rates=[0.5]).recipe}
    assert len(recipes) == 1
    assert len({*recipes, mapped({"a": (1, 3)}).recipe}) == 2


def test_defaults_are_stored_so_that_a_later_change_alters_no_file():
    def scaled(features, scale=2.0, *, activation=identity):
        return serial(linear(features), lambda x: x * scale, activation)

    before = layer(scaled, name="test:scaled")(1).recipe.to_json()
    assert before == {
        "call": "test:scaled",
        "args": [1],
        "options": {"scale": 2.0, "activation": {"function": "identity"}},
    }
    scaled.__defaults__ = (3.0,)
    layer(scaled, name="test:scaled")
    again = build(before)
    assert repr(again) == "scaled(1, scale=2.0)"
    x = jnp.ones((1, 2))
    params, state = again.init(jax.random.key(0), x)
    expected = 2 * x @ params["linear1"]["kernel"]
    np.testing.assert_allclose(again.apply(params, state, x)[0], expected, rtol=1e-6)


def test_a_default_that_is_no_data_is_left_to_the_constructor():
    @layer(name="test:private")
    def private(features, activation=lambda x: -x, *more):
        return serial(linear(features), activation, *more)

    recipe = private(3).recipe
    assert recipe.to_json() == {"call": "test:private", "args": [3], "options": {}}
    assert build(recipe).recipe == recipe


def test_a_layer_from_json_prints_as_briefly_as_it_was_written():
    text = (
        "serial(linear(4), residual(identity), repeat(cast('float32'), 2), last=concat(identity))"
    )
    model = eval(text, {**NAMES, "linear": linear, "concat": concat})  # noqa: S307
    assert repr(build(json.loads(json.dumps(model.recipe.to_json())))) == text
