"""The house: which part may know which, and what no part may do."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import fcnn

ROOT = Path(fcnn.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

# part: the parts of fcnn it may import; every part may import itself and `extras`
ALLOWED = {
    "core": set(),
    "ops": set(),
    "tables": set(),
    "losses": set(),
    "metrics": {"losses"},
    "layers": {"core", "ops"},
    "weights": set(),
    "models": {"core", "layers", "weights"},
    "optimizers": {"core"},
    "data": {"tables"},
    "summaries": {"core", "ops", "tables"},
    "evaluation": {"tables"},
    "figures": {"tables", "evaluation"},
    "explain": {"core", "ops", "figures", "data", "tables"},
    "store": {"core", "models"},
    "augment": {"ops"},
    "train": {
        "core",
        "layers",
        "losses",
        "metrics",
        "optimizers",
        "data",
        "augment",
        "store",
        "models",
        "summaries",
        "evaluation",
        "figures",
        "tables",
    },
    "study": {
        "core",
        "layers",
        "losses",
        "optimizers",
        "data",
        "store",
        "train",
        "figures",
        "tables",
    },
    "estimators": {
        "core",
        "layers",
        "models",
        "losses",
        "optimizers",
        "augment",
        "data",
        "train",
    },
    "cli": {
        "core",
        "layers",
        "models",
        "data",
        "augment",
        "store",
        "train",
        "explain",
        "summaries",
        "optimizers",
        "evaluation",
        "figures",
        "study",
        "tables",
    },
    "extras": set(),
    "__main__": {"cli"},
}
# what each may import from elsewhere, beside the standard library
OUTSIDE = {
    "data": {"numpy"},
    "weights": {"numpy", "ml_dtypes"},
    "evaluation": {"numpy"},
    "figures": {"numpy"},
    "tables": set(),
    "extras": set(),
    "__main__": set(),
}
CORE_PACKAGES = {"jax", "numpy", "ml_dtypes", "optax"}  # ml_dtypes comes with jax


def part_of(file):
    return file.split("/")[0].removesuffix(".py")


def imports(file):
    """(name, node) of every import in a file; relative ones as fcnn.part..."""
    package = ["fcnn", *Path(file).parent.parts]
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            for name in node.names:
                yield (f"{base}.{name.name}" if base == "fcnn" else base), node


@pytest.mark.parametrize("file", [file for file in FILES if file != "__init__.py"])
def test_imports_point_one_way(file):
    part = part_of(file)
    for name, _ in imports(file):
        top, *rest = name.split(".")
        if top == "fcnn":
            assert not rest or rest[0] in ALLOWED[part] | {part, "extras"}, f"{file} imports {name}"
        elif top not in sys.stdlib_module_names:
            assert top in OUTSIDE.get(part, CORE_PACKAGES), f"{file} imports {name}"


@pytest.mark.parametrize("file", FILES)
def test_no_import_is_late_but_those_of_extras(file):
    tree = ast.parse((ROOT / file).read_text())
    inside = [
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
        if isinstance(child, ast.Import | ast.ImportFrom)
    ]
    assert not inside, f"line {inside[0].lineno}"


@pytest.mark.parametrize("file", FILES)
def test_nothing_unpickles_or_runs_text(file):
    forbidden = {"pickle", "dill", "marshal", "shelve", "multiprocessing"}
    for name, _ in imports(file):
        assert name.split(".")[0] not in forbidden
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", None)
            assert called not in {"eval", "exec", "__import__", "compile"}, f"line {node.lineno}"
            for keyword in node.keywords:
                if keyword.arg == "allow_pickle":
                    assert keyword.value.value is False


def packages():
    yield fcnn
    for found in pkgutil.walk_packages(fcnn.__path__, "fcnn."):
        if found.ispkg:
            yield importlib.import_module(found.name)


@pytest.mark.parametrize("package", list(packages()), ids=lambda package: package.__name__)
def test_no_module_is_shadowed_by_a_name_its_package_exports(package):
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.startswith("__"):
            continue
        full = f"{package.__name__}.{module.name}"
        importlib.import_module(full)
        assert getattr(package, module.name) is sys.modules[full], f"{full} is shadowed"


def test_every_public_function_says_what_it_does():
    for package in packages():
        for name, value in vars(package).items():
            if callable(value) and getattr(value, "__module__", "").startswith("fcnn"):
                assert value.__doc__, f"{package.__name__}.{name}"


def test_importing_fcnn_is_light_silent_and_needs_no_extra():
    code = (
        "import sys, fcnn\n"
        "extras = ['PIL', 'safetensors', 'h5py', 'matplotlib', 'rich', 'sklearn', 'torch', "
        "'tensorflow', 'keras', 'pandas']\n"
        "print([name for name in extras if name in sys.modules])\n"
        "import jax\n"
        "print(jax._src.xla_bridge.backends_are_initialized())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[]", "False"], done.stderr
    assert done.stderr == ""
