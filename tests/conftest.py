import jax
import pytest


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    """Each program is compiled once for all tests here, however often a run begins anew."""
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    former = {name: getattr(jax.config, name) for name in options}
    for name, value in options.items():
        jax.config.update(name, value)
    yield
    for name, value in former.items():
        jax.config.update(name, value)
