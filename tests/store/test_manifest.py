"""The manifest guards itself and is read strictly."""

import hashlib
import json

import pytest

from fcnn.store import manifest


def sealed(text):
    """A text that ends in ``"digest": "<64 zeros>"}`` and a line break, with the right digest."""
    zeroed = text.encode()
    return zeroed[:-67] + hashlib.sha256(zeroed).hexdigest().encode() + zeroed[-3:]


def test_entries_come_back_and_the_digest_is_of_the_text_with_zeros():
    entries = {"format": 1, "name": "ü", "list": [1, 2.5, None, True]}
    data = manifest.encode(entries)
    assert manifest.decode(data) == entries
    digest = json.loads(data)["digest"]
    zeroed = data.replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(zeroed).hexdigest() == digest


def test_an_entry_that_looks_like_the_digest_does_no_harm():
    entries = {"a": {"digest": "0" * 64}, "b": '"digest": "' + "0" * 64 + '"}\n'}
    assert manifest.decode(manifest.encode(entries)) == entries


def test_every_flipped_bit_is_noticed():
    data = bytearray(manifest.encode({"format": 1, "classes": ["a", "b"]}))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="digest"):
            manifest.decode(bytes(data))
        data[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_not_finite_is_not_written(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest.encode({"a": number})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2, ', "twice"),
        ('{"a": {"b": 1, "b": 1}, ', "twice"),
        ('{"a": NaN, ', "finite"),
        ('{"a": -Infinity, ', "finite"),
        ('{"a": 1e999, ', "finite"),
        ('{"a": ', "Expecting|delimiter"),
    ],
)
def test_json_that_could_be_read_in_two_ways_is_refused(text, words):
    data = sealed(f'{text}"digest": "{"0" * 64}"}}\n')
    with pytest.raises(ValueError, match=words):
        manifest.decode(data)


def test_a_long_manifest_is_neither_written_nor_read(monkeypatch):
    data = manifest.encode({"a": "x" * 500})
    monkeypatch.setattr(manifest, "LIMIT", 400)
    with pytest.raises(ValueError, match="400 are allowed"):
        manifest.encode({"a": "x" * 500})
    with pytest.raises(ValueError, match="400 are allowed"):
        manifest.decode(data)
