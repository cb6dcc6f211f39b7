"""Each program is compiled once in a run of the tests, however often tests begin anew."""

import os
import shutil
import tempfile

import jax

OPTIONS = {
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


def pytest_configure(config):
    """Every process of the tests has its own folder of programs, which those it starts share."""
    config.programs = tempfile.mkdtemp(prefix="fcnn-programs-")
    for name, value in {"jax_compilation_cache_dir": config.programs, **OPTIONS}.items():
        os.environ[name.upper()] = str(value)
        jax.config.update(name, value)


def pytest_unconfigure(config):
    shutil.rmtree(config.programs, ignore_errors=True)
