import importlib
from pathlib import Path

import pytest

from loop_bench.jobs import imports
from loop_bench.machine import software


@pytest.mark.parametrize(("keras_2", "keras"), [(True, "tf_keras"), (False, "keras")])
def test_the_keras_is_imported_that_tensorflow_uses(monkeypatch, keras_2, keras):
    imported = []
    monkeypatch.setattr(software, "uses_keras_2", lambda: keras_2)
    monkeypatch.setattr(importlib, "import_module", imported.append)
    exec(Path(imports.__file__).read_text(), {})
    assert imported == [keras]
