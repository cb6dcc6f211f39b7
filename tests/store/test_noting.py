"""Notes come back exactly, from strict JSON."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnn.store.noting import DEEPEST, from_json, to_json

NOTES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.just("float"), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(st.text(max_size=5), NOTES))
def test_any_notes_come_back_exactly(notes):
    text = json.dumps(to_json(notes), allow_nan=False)
    assert repr(from_json(json.loads(text))) == repr(notes)


def test_what_json_does_not_have_comes_back_too():
    notes = {"a": [math.nan, math.inf, -math.inf, -0.0, 5e-324], "b": {"float": math.nan}}
    text = json.dumps(to_json(notes), allow_nan=False)
    assert repr(from_json(json.loads(text))) == repr(notes)
    assert from_json(json.loads(json.dumps(to_json({"a": (1, 2)})))) == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("notes", "error", "words"),
    [
        ({"a": {1, 2}}, TypeError, r"notes/a is \{1, 2\}; JSON has no set"),
        ({"a": [0, b""]}, TypeError, "notes/a/1 is b''; JSON has no bytes"),
        ({"a": {3: 1}}, TypeError, "notes/a has the key 3"),
        ({"a": {"float": "nan"}}, ValueError, "notes/a is .*stands for a number"),
    ],
)
def test_what_would_not_come_back_is_refused(notes, error, words):
    with pytest.raises(error, match=words):
        to_json(notes)


def test_notes_too_deep_to_be_read_are_not_written():
    notes = {}
    notes["self"] = notes
    with pytest.raises(ValueError, match=f"more than {DEEPEST} levels"):
        to_json(notes)
