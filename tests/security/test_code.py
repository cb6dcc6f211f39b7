"""What no file of the package may contain: ways to run text, to unpickle, or to import by a name
that comes from outside; and randomness that depends on what ran before.
"""

import ast
import tomllib
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
LATE_IMPORTS = "extras.py"  # the one file that imports by name

MODULES = {
    *("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"),
    *("random", "runpy", "code", "codeop", "imp", "zipimport", "yaml", "torch"),
}
BUILTINS = {"eval", "exec", "compile", "__import__", "__builtins__"}
ATTRIBUTES = {"eval", "exec", "__import__", "__builtins__", "import_module"}
CALLS = {
    *("torch.load", "yaml.load", "yaml.unsafe_load", "joblib.load", "os.system", "os.popen"),
    *("importlib.import_module", "importlib.reload", "importlib.__import__", "importlib.util"),
    *("numpy.lib.format.read_array", "pandas.read_pickle", "numpy.fromregex"),
}
GENERATORS = {"Philox", "Generator", "SeedSequence", "BitGenerator"}  # all else has global state


def forbidden(text, *, late_imports=False):
    """``line: what`` for everything in a file that may not be there."""
    tree = ast.parse(text)
    names = {"np": "numpy", "jnp": "jax.numpy"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
            module = getattr(node, "module", None)
            for alias in node.names:
                full = f"{module}.{alias.name}" if module else alias.name
                names[alias.asname or alias.name.partition(".")[0]] = (
                    full if module or alias.asname else alias.name.partition(".")[0]
                )
                if full.partition(".")[0] in MODULES:
                    found.append((node.lineno, f"imports {full}"))
                if full in {*CALLS, "importlib"} and not late_imports:
                    found.append((node.lineno, f"imports {full}"))
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            found.append((node.lineno, node.id))
        elif isinstance(node, ast.Attribute):
            full = _dotted(node, names)
            if full in CALLS and not late_imports:
                found.append((node.lineno, full))
            if full.startswith("numpy.random.") and full.split(".")[2] not in GENERATORS:
                found.append((node.lineno, full))
            if node.attr in ATTRIBUTES and not late_imports:
                found.append((node.lineno, f".{node.attr}"))
        elif isinstance(node, ast.Call):
            said = {keyword.arg: keyword.value for keyword in node.keywords}
            allowed = said.get("allow_pickle")
            if allowed is not None and getattr(allowed, "value", True) is not False:
                found.append((node.lineno, "allow_pickle"))
            if _dotted(node.func, names) == "numpy.load" and allowed is None:
                found.append((node.lineno, "numpy.load without allow_pickle=False"))
    return [f"{line}: {what}" for line, what in sorted(found)]


def _dotted(node, names):
    """``np.random.rand`` as ``numpy.random.rand``, as far as the file itself says what is what."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, names)}.{node.attr}"
    return ""


@pytest.mark.parametrize("file", FILES)
def test_no_file_runs_text_unpickles_or_draws_from_a_hidden_stream(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    assert forbidden(text, late_imports=file == LATE_IMPORTS) == []


@pytest.mark.parametrize(
    "text",
    [
        *("import pickle", "from pickle import loads", "import dill as d", "import marshal"),
        *("import shelve", "import random", "from random import choice", "import yaml"),
        *("eval('1')", "run = exec", "compile('1', 'f', 'eval')", "__import__('os')"),
        *("import importlib", "import importlib as i", "from importlib import import_module"),
        *("import importlib.util", "import os; os.system('x')", "from os import system"),
        *("import torch", "builtins.eval('1')", "x.import_module('os')"),
        *("np.load(f)", "np.load(f, allow_pickle=True)", "np.load(f, allow_pickle=flag)"),
        *("numpy.load(f)", "from numpy import load\nload(f)", "np.lib.format.read_array(f)"),
        *("np.random.rand(3)", "np.random.seed(0)", "np.random.default_rng()"),
        *("from numpy import random\nrandom.rand()", "import numpy.random as r\nr.rand()"),
    ],
)
def test_the_scan_sees_what_is_forbidden(text):
    assert forbidden(text)


@pytest.mark.parametrize(
    "text",
    [
        *("import re; re.compile('a')", "import pickletools", "run.lower().compile()"),
        *("np.load(f, allow_pickle=False)", "np.random.Generator(np.random.Philox(0))"),
        *("from jax import random\nrandom.normal(key)", "jax.random.normal(key)"),
        *("from importlib import resources, metadata", "from . import code", "x.load(f)"),
    ],
)
def test_the_scan_lets_the_harmless_pass(text):
    assert forbidden(text) == []


def test_only_the_helper_of_extras_imports_by_name():
    assert forbidden((ROOT / LATE_IMPORTS).read_text()) != []


def test_the_linter_looks_for_the_same():
    rules = ["S301", "S302", "S307", "S506", "NPY002"]  # pickle, marshal, eval, yaml, randomness
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    lint = project["tool"]["ruff"]["lint"]
    silenced = set(lint["ignore"])
    for files, codes in lint["per-file-ignores"].items():
        silenced |= set() if files.startswith(("tests/", "examples/")) else set(codes)
    for rule in rules:
        assert any(rule.startswith(selected) for selected in lint["select"]), rule
        assert not any(rule.startswith(code) for code in silenced), rule
    for file in FILES:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert not any(f"noqa: {rule}" in text for rule in rules), file
