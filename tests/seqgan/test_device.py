import atexit
import gc
import os
import subprocess
import sys
from pathlib import Path

import cpuinfo
import pytest
import tensorflow as tf

from loop_bench.seqgan import cli, device
from loop_bench.seqgan.device import CompileCache, CompileCacheError

RELEASE = tuple(map(int, tf.__version__.split(".")[:2]))


@pytest.mark.parametrize(("gpus", "preset"), [([], "paper"), (["a GPU"], "script")])
def test_preset_for_the_device(monkeypatch, gpus, preset):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert device.default_preset() == preset


@pytest.fixture(scope="module")
def cpu():
    """Information on this machine's CPU, collected once."""
    return cpuinfo.get_cpu_info()


@pytest.fixture
def fresh(monkeypatch, cpu):
    """Makes TensorFlow appear not to be imported, without flags."""
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: cpu)


@pytest.mark.slow
def test_starts_tensorflow_in_silence():
    imports = "from loop_bench.seqgan import device; device.start_tensorflow(); import tensorflow"
    script = f"{imports}; print(device.device_name())"
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


NOISY = """
import os, types
os.write(2, b"a note of the import\\n")
def look():
    os.write(2, b"a note of the devices\\n")
    {then}
config = types.SimpleNamespace(list_physical_devices=look)
"""


@pytest.fixture
def noisy(fresh, monkeypatch, tmp_path):
    """Replaces TensorFlow by a package that writes to standard error past Python."""

    def put(then):
        (tmp_path / "tensorflow.py").write_text(NOISY.format(then=then))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")

    return put


def test_notes_of_the_start_are_set_aside(noisy, monkeypatch, capfd):
    leaving = []
    monkeypatch.setattr(atexit, "register", leaving.append)
    noisy("import gc; assert not gc.isenabled()")
    device.start_tensorflow()
    assert gc.isenabled()
    os.write(2, b"what comes later is not\n")
    assert capfd.readouterr().err == "what comes later is not\n"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert leaving == [gc.freeze, gc.collect]


def test_notes_of_a_start_that_fails_are_shown(noisy, capfd):
    noisy("raise ImportError('no such library')")
    with pytest.raises(ImportError, match="no such library"):
        device.start_tensorflow()
    assert gc.isenabled()
    assert capfd.readouterr().err == "a note of the import\na note of the devices\n"


def test_a_disabled_garbage_collector_stays_disabled(noisy):
    noisy("pass")
    gc.disable()
    try:
        device.start_tensorflow()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_logs_that_the_user_asked_for_are_shown(noisy, monkeypatch, capfd):
    noisy("pass")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    device.start_tensorflow()
    import tensorflow

    tensorflow.config.list_physical_devices()
    assert capfd.readouterr().err == "a note of the import\na note of the devices\n"


SMALL = ["mle_epochs=0", "d_epochs=0", "epochs=1", "lines=64", "sequence_length=3", "hidden_size=4"]


def opened(parent):
    cache = CompileCache(parent)
    cache.open()
    return cache


def filled(parent):
    """The folder of a cache in which a run has left two entries."""
    cache = opened(parent)
    for name in ("a.pb", "b.pb"):
        (cache.folder / name).write_bytes(b"a program")
    assert cache.close() == 2
    return cache.folder


def entries(folder):
    return {path.name for path in folder.glob("*.pb")}


def test_sets_tensorflows_flags_and_keeps_the_users(fresh, monkeypatch, tmp_path):
    monkeypatch.setenv("TF_XLA_FLAGS", "--mine=1")
    folder = opened(tmp_path / "a folder").folder
    assert folder.parent == tmp_path / "a folder"
    flags = f'--tf_xla_persistent_cache_directory="{folder}" --tf_xla_persistent_cache_device_types=CPU --mine=1'
    assert os.environ["TF_XLA_FLAGS"] == flags


@pytest.mark.parametrize("own", ["--tf_xla_persistent_cache_directory=/mine", "/a/file/of/flags"])
def test_the_users_own_cache_wins(fresh, monkeypatch, tmp_path, own):
    monkeypatch.setenv("TF_XLA_FLAGS", own)
    assert opened(tmp_path).folder is None
    assert os.environ["TF_XLA_FLAGS"] == own
    assert not list(tmp_path.iterdir())


def test_is_too_late_once_tensorflow_is_imported(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    cache = opened(tmp_path)
    assert (cache.folder, cache.close()) == (None, 0)
    assert cache.describe(0) is None
    assert os.environ["TF_XLA_FLAGS"] == ""


@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: entry.write_bytes(entry.read_bytes()[:4]),
        lambda entry: entry.write_bytes(entry.read_bytes().upper()),
        lambda entry: entry.with_name("a.pb.sha256").unlink(),
        lambda entry: entry.with_name("a.pb.sha256").write_bytes(b"\xff"),
    ],
    ids=["cut short", "changed", "never sealed", "seal damaged"],
)
def test_damaged_entries_are_dropped(fresh, monkeypatch, tmp_path, harm):
    folder = filled(tmp_path)
    harm(folder / "a.pb")
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert opened(tmp_path).folder == folder
    assert {path.name for path in folder.iterdir()} == {"b.pb", "b.pb.sha256"}


def test_two_runs_at_once_leave_what_the_next_can_use(fresh, monkeypatch, tmp_path):
    one = opened(tmp_path)
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    other = opened(tmp_path)
    for cache in (one, other):  # neither compiler's bytes are the other's
        (cache.folder / "a.pb").write_text(str(id(cache)))
        assert cache.close() == 1
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert entries(opened(tmp_path).folder) == {"a.pb"}


def test_each_machine_has_a_folder_of_its_own(fresh, cpu, monkeypatch, tmp_path):
    here = CompileCache(tmp_path)
    here.open()
    monkeypatch.setattr(cpuinfo, "get_cpu_info", lambda: {**cpu, "flags": [*cpu["flags"], "avx1024"]})
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert opened(tmp_path).folder != here.folder


@pytest.mark.parametrize(
    ("parent", "free", "says"),
    [
        ("/dev/null/x", 1 << 40, "Not a directory"),
        ('a "quoted" folder', 1 << 40, "no folder with a quotation mark"),
        ("full", 1 << 20, "less than 256 MiB are free"),
    ],
)
def test_an_unusable_folder_is_reported_in_one_line(fresh, monkeypatch, tmp_path, capsys, parent, free, says):
    started = []
    monkeypatch.setattr(device, "start_tensorflow", lambda: started.append(True))
    monkeypatch.setattr(device.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": free}))
    cache = CompileCache(tmp_path / parent)
    cli._start_tensorflow(cache)
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) == 1
    assert started
    assert os.environ["TF_XLA_FLAGS"] == ""
    assert cache.describe(cache.close()) is None
    with pytest.raises(CompileCacheError):
        cache.open()


@pytest.mark.parametrize(
    ("named", "caches"), [("/caches", "/caches"), ("", "/home/me/.cache"), ("not/absolute", "/home/me/.cache")]
)
def test_default_cache_parent(monkeypatch, named, caches):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert device.default_cache_parent() == Path(caches) / "loop-bench" / "xla"


def test_the_two_options_exclude_each_other(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["seqgan", "train", "--compile-cache", "here", "--no-compile-cache"])
    assert cli.main() == 2
    assert "--compile-cache here: cannot be combined with --no-compile-cache" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(RELEASE < (2, 20), reason="TensorFlow 2.16 and 2.18 find no program of another process again")
def test_a_run_from_another_seed_compiles_nothing(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "TF_XLA_FLAGS"}

    def train(out, seed):
        settings = [part for setting in SMALL for part in ("--set", setting)]
        command = [sys.executable, "-m", "loop_bench.seqgan", "train", "--preset", "tiny", "--seed", seed, *settings]
        command += ["--compile-cache", tmp_path / "cache", "--out", tmp_path / out]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout

    said = train("first", "0")
    (folder,) = (tmp_path / "cache").iterdir()
    assert f"programs compiled, and kept for the next run in {folder}: 1\n" in said
    first = entries(folder)
    assert len(first) == 1
    assert f"compiled programs came from {folder}\n" in train("again", "4")
    assert entries(folder) == first
