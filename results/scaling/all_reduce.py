"""Cost model of an all-reduce among GPUs: latency per hop plus bytes over bandwidth, without contention.

It is the usual alpha-beta model (Hockney, The communication challenge for MPP, 1994): a message of m bytes takes
alpha + m beta. A ring moves 2 (n - 1) / n of the bytes through each link, the least possible, in 2 (n - 1) steps
(Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations, 2009). A tree needs only
2 log2(n) steps between machines, like the algorithms of Thakur, Rabenseifner and Gropp (Optimization of collective
communication operations in MPICH, 2005), and moves twice the bytes.

The layout of both over machines with several GPUs, and the latencies, are those by which NCCL chooses between them:
`ncclTopoTuneModel` and its constants in src/graph/tuning.cc, commit 5067397. Latencies are those of its low-latency
protocol (LL), bandwidths the nominal ones of the links. No real all-reduce has both, so the modelled times are too
short rather than too long.
"""

from __future__ import annotations

import dataclasses
import math

GPUS_A_MACHINE = 8
"""GPUs in a machine, as in an NVIDIA DGX or HGX H100."""

RING_BASE, TREE_BASE = 6.6e-6, 6.8e-6
"""Seconds to start an all-reduce: `baseLatencies` of NCCL, LL."""

NVLINK_HOP = 0.6e-6
"""Seconds from GPU to GPU in a machine: `hwLatencies` of NCCL, NVLINK, LL, of ring and tree alike."""

NVLINK_BANDWIDTH = 450e9
"""Bytes/s out of a GPU: NVIDIA's data sheet of the H100 SXM has 900 GB/s, which are both directions together."""


@dataclasses.dataclass(frozen=True)
class Network:
    """The network between machines."""

    name: str
    bandwidth: float  # bytes/s out of a machine
    ring_hop: float  # seconds
    tree_hop: float  # seconds


FAST = Network("8 × 400 Gbit/s InfiniBand", 8 * 400e9 / 8, 2.7e-6, 5.0e-6)
"""A network card for each GPU, as in a DGX H100; latencies are NCCL's `hwLatencies`, NET, LL."""

MEDIUM = Network("100 Gbit/s InfiniBand", 100e9 / 8, 2.7e-6, 5.0e-6)
"""One card per machine, with the latencies of FAST."""

SLOW = Network("25 Gbit/s Ethernet", 25e9 / 8, 25e-6, 25e-6)
"""One card per machine, with TCP. NCCL's constants have no latency for it; this one is an assumption."""

NETWORKS = (FAST, MEDIUM, SLOW)


def ring(size: float, gpus: int, network: Network) -> float:
    """Seconds of an all-reduce in a ring.

    Args:
        size: bytes on each GPU.
        gpus: number of GPUs; all machines but the last are full.
        network: the network between machines.
    """
    if gpus == 1:
        return 0.0
    between = 2 * (_machines(gpus) - 1) if gpus > GPUS_A_MACHINE else 0
    within = 2 * (gpus - 1) - between
    latency = RING_BASE + within * NVLINK_HOP + between * network.ring_hop
    return latency + 2 * (gpus - 1) / gpus * size / _bandwidth(gpus, network)


def tree(size: float, gpus: int, network: Network) -> float:
    """Seconds of an all-reduce in a tree of machines, with the GPUs of each in a chain; arguments as of `ring`."""
    if gpus == 1:
        return 0.0
    machines = _machines(gpus)
    hops = (min(gpus, GPUS_A_MACHINE) - 1) * NVLINK_HOP + math.ceil(math.log2(machines)) * network.tree_hop
    return TREE_BASE + 2 * hops + 2 * size / _bandwidth(gpus, network)


def all_reduce(size: float, gpus: int, network: Network) -> float:
    """Seconds of an all-reduce by ring or tree, whichever is faster; arguments as of `ring`."""
    return min(ring(size, gpus, network), tree(size, gpus, network))


def _machines(gpus: int) -> int:
    return -(-gpus // GPUS_A_MACHINE)


def _bandwidth(gpus: int, network: Network) -> float:
    """Bytes/s of the slowest link."""
    return NVLINK_BANDWIDTH if gpus <= GPUS_A_MACHINE else min(NVLINK_BANDWIDTH, network.bandwidth)
