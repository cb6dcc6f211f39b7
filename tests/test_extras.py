import sys

import pytest

from fcnn.extras import available, require


def test_a_missing_package_names_the_extra_that_brings_it():
    with pytest.raises(
        ImportError, match=r"no_such_thing is not installed: pip install 'fcnn\[plots\]'"
    ):
        require("no_such_thing.part", "plots")


@pytest.mark.parametrize("blocked", ["matplotlib", "matplotlib.pyplot"])
def test_a_package_that_is_kept_out_reads_as_missing(blocked, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    monkeypatch.setitem(sys.modules, blocked, None)
    with pytest.raises(
        ImportError, match=r"^matplotlib is not installed: pip install 'fcnn\[plots\]'$"
    ):
        require("matplotlib.pyplot", "plots")
    assert not available(blocked)


def test_an_error_inside_a_package_is_not_taken_for_its_absence(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_thing") as caught:
        require("needs_more", "plots")
    assert "pip install" not in str(caught.value)


def test_availability_is_known_without_importing():
    assert available("json")
    assert not available("no_such_thing")


@pytest.mark.parametrize("refusal", [ImportError, ModuleNotFoundError])
def test_a_hook_that_refuses_a_package_makes_it_unavailable(refusal, monkeypatch):
    class Refusing:
        def find_spec(self, name, path=None, target=None):
            if name == "refused":
                raise refusal(f"{name} is not wanted here")

    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    assert not available("refused")
    assert not available("refused.part")
    assert available("json")
