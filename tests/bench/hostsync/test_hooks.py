import pytest
import tensorflow as tf

from loop_bench.hostsync.hooks import Hooks


class Watcher:
    def __init__(self):
        self.seen = []

    def before(self, tensor, route, raises):
        self.seen.append(("before", route, raises))

    def after(self, tensor, route, nbytes, seconds):
        self.seen.append(("after", route, nbytes))


class OnGpu:
    """A stand-in for a tensor on a GPU, with the attributes that the hooks use."""

    backing_device = "/job:localhost/replica:0/task:0/device:GPU:0"
    dtype = tf.float32

    def _shape_tuple(self):
        return (3,)


@pytest.fixture
def watcher():
    return Watcher()


@pytest.mark.parametrize("device", ["GPU:0", "/job:localhost/replica:0/task:0/device:GPU:1", ""])
def test_copies_to_elsewhere_are_no_reads(watcher, device):
    copy = Hooks(watcher)._reading_copy(lambda tensor, where: (tensor, where))
    assert copy("a tensor", device) == ("a tensor", device)
    assert watcher.seen == []


@pytest.mark.parametrize("device", ["CPU:0", "/job:localhost/replica:0/task:0/device:CPU:0", "cpu:0"])
def test_copies_to_the_host_are(watcher, device):
    tensor = OnGpu()
    assert Hooks(watcher)._reading_copy(lambda tensor, where: where)(tensor, device) == device
    assert watcher.seen == [("before", "copy", True), ("after", "copy", 12)]


def test_an_export_from_a_gpu_moves_nothing(watcher):
    assert Hooks(watcher)._exporting(lambda tensor: "capsule")(OnGpu()) == "capsule"
    assert watcher.seen == [("before", "dlpack", True), ("after", "dlpack", 0)]


def test_a_failed_read_is_not_reported(watcher):
    def fails(tensor):
        raise LookupError

    with pytest.raises(LookupError):
        Hooks(watcher)._reading_method(fails)(OnGpu())
    assert watcher.seen == [("before", None, True)]
