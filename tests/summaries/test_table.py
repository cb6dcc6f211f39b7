import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from fcnn import models
from fcnn.core import identity, parallel, residual, serial, stateless, wire
from fcnn.core.network import start_network
from fcnn.layers.convolution import conv
from fcnn.layers.linear import dense
from fcnn.layers.normalization import batch_norm
from fcnn.layers.pooling import global_avg_pool, max_pool
from fcnn.layers.recurrent import lstm
from fcnn.layers.reshaping import flatten
from fcnn.summaries import Row, summary

SMALL = serial(conv(4), jax.nn.relu, max_pool(2), flatten, dense(10))
X = jax.ShapeDtypeStruct((1797, 8, 8, 1), "float32")


def paths(layer, x=X):
    return [row.path for row in summary(layer, x).rows]


def test_rows_say_what_each_layer_gives_holds_costs_and_sees():
    assert summary(SMALL, X).rows == (
        Row("conv1", "conv", (1, 8, 8, 4), 40, 2304, (3, 3), (1, 1), 1024),
        Row("relu1", "relu", (1, 8, 8, 4), 0, 0, (3, 3), (1, 1), 1024),
        Row("max_pool1", "max_pool", (1, 4, 4, 4), 0, 0, (4, 4), (2, 2), 256),
        Row("flatten1", "flatten", (1, 64), 0, 0, (4, 4), (2, 2), 256),
        Row("dense1", "dense", (1, 10), 650, 640, "all", None, 40),
    )


def test_totals_are_those_of_one_example_however_many_there_are():
    for n in (1, 5, 1797):
        table = summary(SMALL, np.zeros((n, 8, 8, 1), np.float32))
        assert (table.params, table.macs, table.flops) == (690, 2944, 5888)
        assert table.input == jax.ShapeDtypeStruct((1, 8, 8, 1), "float32")


def test_only_the_shape_and_dtype_of_the_input_matter():
    class Lazy:
        shape, dtype = (60000, 8, 8, 1), np.dtype("float32")

    assert summary(SMALL, Lazy()).rows == summary(SMALL, X).rows


def test_the_table_prints_aligned():
    assert str(summary(SMALL, X)).splitlines() == [
        "layer      kind      output                       parameters  multiply-adds  "
        "receptive field  stride",
        "-" * 100,
        "conv1      conv      [1, 8, 8, 4]                         40          2,304  "
        "            3x3     1x1",
        "relu1      relu      [1, 8, 8, 4]                          0              0  "
        "            3x3     1x1",
        "max_pool1  max_pool  [1, 4, 4, 4]                          0              0  "
        "            4x4     2x2",
        "flatten1   flatten   [1, 64]                               0              0  "
        "            4x4     2x2",
        "dense1     dense     [1, 10]                             650            640  "
        "            all",
        "-" * 100,
        "total                2.6 kB for float32[1,8,8,1]         690          2,944",
    ]


def test_names_are_escaped_in_html():
    html = summary(serial(**{"<b>": conv(2)}), X)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 3


def test_rows_stand_in_the_order_of_execution():
    layers = {f"block{i}": conv(1, bias=False) for i in range(1, 12)}
    assert paths(serial(**layers)) == list(layers)


def test_a_bare_layer_is_one_row_called_after_its_kind():
    assert summary(conv(3), X).rows == (
        Row("conv", "conv", (1, 8, 8, 3), 30, 1728, (3, 3), (1, 1), 768),
    )
    assert paths(jax.nn.relu) == ["relu"]


def test_a_layer_that_is_called_twice_holds_its_parameters_once():
    net = wire(lambda f, x: f.body(f.body(x)), body=serial(conv(1)))
    rows = summary(net, X).rows
    assert [(row.path, row.params, row.receptive_field) for row in rows] == [
        ("body/conv1", 10, (3, 3)),
        ("body/conv1@2", 0, (5, 5)),
    ]
    assert summary(net, X).params == 10


def test_a_composite_has_a_row_only_where_it_computes_itself():
    def gram(f, x):
        y = f.inner(x).reshape(1, 64, 2)
        return y.mT @ y

    inside = summary(serial(gram=wire(gram, inner=conv(2)), out=identity), X)
    assert [(row.path, row.kind, row.macs) for row in inside.rows] == [
        ("gram/inner", "conv", 1152),
        ("gram", "gram", 256),
        ("out", "identity", 0),
    ]
    assert [row.path for row in summary(wire(gram, inner=conv(2)), X).rows] == ["inner", "gram"]
    assert paths(residual(conv(1))) == ["body", "skip"]


def test_the_rows_add_up_to_the_totals():
    net = serial(residual(serial(conv(1), batch_norm())), conv(4, 3, 2), global_avg_pool, dense(3))
    table = summary(net, X)
    assert table.params == sum(row.params for row in table.rows)
    assert table.flops == sum(row.flops for row in table.rows) > 0


def test_inputs_and_outputs_may_be_trees():
    spec = jax.ShapeDtypeStruct((3, 6), "float32")
    table = summary(parallel(dense(2), dense(3)), (spec, spec))
    assert [row.output for row in table.rows] == [(1, 2), (1, 3)]
    assert "[1, 2], [1, 3]" in str(summary(serial(pair=lambda x: (x[:, :2], x[:, :3])), spec))


def test_the_figures_of_resnet18_are_the_published_ones():
    table = summary(
        models.resnet18(classes=1000), jax.ShapeDtypeStruct((8, 224, 224, 3), "float32")
    )
    assert (table.params, table.macs) == (11_689_512, 1_814_073_344)
    assert max(row.receptive_field for row in table.rows if row.receptive_field != "all") == (
        435,
        435,
    )


def test_a_child_mapped_over_an_axis_counts_for_the_whole_axis():
    net = wire(lambda f, x: jax.vmap(f.inner, 1, 1)(x), inner=dense(2))
    table = summary(net, jax.ShapeDtypeStruct((1, 5, 3), "float32"))
    assert table.macs == sum(row.macs for row in table.rows) == 5 * 3 * 2


def test_a_recurrent_layer_counts_every_step():
    rows = summary(lstm(4), jax.ShapeDtypeStruct((2, 5, 3), "float32")).rows
    assert rows[0].macs == 5 * 16 * (3 + 4)
    assert rows[0].receptive_field == "all"


def test_a_network_is_summed_up_like_its_layer():
    network = start_network(SMALL, random.key(0), X)
    assert summary(network, X).rows == summary(SMALL, X).rows


def test_a_network_for_other_inputs_is_refused():
    network = start_network(SMALL, random.key(0), X)
    with pytest.raises(ValueError, match=r"dense1/kernel is \(64, 10\), needed \(144, 10\)"):
        summary(network, jax.ShapeDtypeStruct((1, 12, 12, 1), "float32"))


def test_a_kernel_that_does_not_fit_is_refused_by_name():
    net = serial(conv(4, 5, padding="valid"), max_pool(2), conv(4, 5, padding="valid"))
    with pytest.raises(ValueError, match="kernel") as error:
        summary(net, X)
    assert "2x2" in str(error.value) or "2, 2" in str(error.value)
    assert any("conv2" in note for note in error.value.__notes__)


def test_nothing_is_computed():
    def init(key, x):
        return {"kernel": jnp.zeros((10**6, 10**7))}  # 40 terabytes

    huge = stateless(init, lambda params, x: x @ params["kernel"])
    table = summary(huge, jax.ShapeDtypeStruct((1, 10**6), "float32"))
    assert (table.params, table.macs) == (10**13, 10**13)


def test_a_deep_network_takes_seconds_at_most():
    block = [conv(4, bias=False), batch_norm(), jax.nn.relu]
    net = serial(*(residual(serial(*block, *block)) for _ in range(16)), global_avg_pool, dense(10))
    start = time.perf_counter()
    assert len(summary(net, jax.ShapeDtypeStruct((1, 32, 32, 4), "float32")).rows) == 16 * 7 + 2
    assert time.perf_counter() - start < 10
