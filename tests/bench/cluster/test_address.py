import re
import socket

import pytest
from daskers import free_port

from loop_bench.cluster import address
from loop_bench.cluster.address import Address
from loop_bench.errors import UsageError


@pytest.mark.parametrize(
    ("text", "full", "host", "port"),
    [
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786", "10.0.0.1", 8786),
        ("node-7.site:1", "tcp://node-7.site:1", "node-7.site", 1),
        ("tls://[fe80::1]:65535", "tls://[fe80::1]:65535", "fe80::1", 65535),
        ("tcp://local:8786", "tcp://local:8786", "local", 8786),
    ],
)
def test_a_scheduler(text, full, host, port):
    assert Address.parse(text) == Address(full, 0, host, port)


def test_workers_on_this_machine():
    assert Address.parse("local:4") == Address("local:4", 4)


@pytest.mark.parametrize("text", ["", "10.0.0.1", "http://a:1", "a:b", "tcp://a:70000", "local", "local:", "a b:1"])
def test_what_is_no_address_is_refused_with_examples(text):
    said = rf"--on {re.escape(repr(text))}: must be a Dask scheduler, such as tcp://.* or local:N"
    with pytest.raises(UsageError, match=said):
        Address.parse(text)


def test_a_cluster_has_a_worker():
    with pytest.raises(UsageError, match="--on local:0: a cluster on this machine needs at least one worker"):
        address.check("local:0")


def test_what_answers_is_good_and_what_does_not_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as there:
        address.check(f"127.0.0.1:{there.getsockname()[1]}")
    port = free_port()
    with pytest.raises(UsageError) as refused:
        address.check(f"127.0.0.1:{port}")
    assert str(refused.value) == (
        f"--on tcp://127.0.0.1:{port}: nothing answers there (Connection refused); `dask scheduler --port {port}` "
        "starts a scheduler on that machine"
    )


def test_without_dask_it_says_what_brings_it(lacking):
    lacking("cluster")
    with pytest.raises(UsageError, match=r"not installed: distributed; pip install 'loop-bench\[cluster\]' brings it"):
        address.check("local:2")
