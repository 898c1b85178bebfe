import importlib.metadata

import pytest
import tensorflow as tf

from loop_bench.machine import software


@pytest.mark.parametrize(("wanted", "installed", "right"), [("1", True, True), ("0", True, False), ("1", False, False)])
def test_keras_2_is_what_tensorflow_takes_for_tf_keras(monkeypatch, wanted, installed, right):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", wanted)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    assert software.uses_keras_2() is right


def test_versions_are_of_what_is_there(monkeypatch):
    assert software.versions()["tensorflow"] == tf.__version__
    genuine = importlib.metadata.version

    def version(package):
        if package == "keras":
            raise importlib.metadata.PackageNotFoundError(package)
        return genuine(package)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert [*software.versions()] == ["tensorflow", "numpy"]
