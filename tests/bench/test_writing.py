import os
import pathlib

import pytest

from loop_bench.writing import write_whole


@pytest.mark.parametrize("broken", ["fsync", "replace"])
def test_writing_is_all_or_nothing(tmp_path, monkeypatch, broken):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os if broken == "fsync" else pathlib.Path, broken, fail)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file.json", "text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("content", "whole"), [("ü\r\n", "ü\r\n".encode()), (b"\x89PNG\n", b"\x89PNG\n")])
def test_texts_and_bytes_are_written_as_they_are(tmp_path, content, whole):
    path = write_whole(tmp_path / "new" / "file", content)
    assert path.read_bytes() == whole
    assert list(path.parent.iterdir()) == [path]
