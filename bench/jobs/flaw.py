"""When an experiment has found nothing, and why, in one line: one rule for all experiments and for stages of a run.

A trial that crashes is a result while others beside it are whole. A loop, or a set of sizes, of which no trial is whole
has not been tested, and an experiment that ends so has failed.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence


def flaw(causes: Mapping[str, Sequence[str]], trials: str = "runs") -> str:
    """Which groups of trials came to nothing, how many trials they have, and the most common cause.

    Args:
        causes: by group (a loop; all points of a sweep), why each trial came to nothing; empty of one that did not.
        trials: what the trials are called, such as `runs`.

    Returns:
        One line; empty if each group with trials has one that came to something.
    """
    tried = {group: each for group, each in causes.items() if each}
    barren = {group: each for group, each in tried.items() if all(each)}
    if not barren:
        return ""
    found = [cause for each in barren.values() for cause in each]
    cause, times = collections.Counter(found).most_common(1)[0]
    of = f" of {' and '.join(barren)}" if len(barren) < len(tried) else ""
    most = f", {times} of them for this cause" if times < len(found) else ""
    if len(found) == 1:
        return f"the only {trials.removesuffix('s')}{of} came to nothing: {cause}"
    return f"none of the {len(found)} {trials}{of} came to anything{most}: {cause}"
