"""Why an experiment has failed, in one line: one rule for all experiments and for the stages of a run.

A crashed trial is a result as long as other trials of its group succeed. A group, such as a loop or a set of sizes,
without any successful trial has not been tested, and its experiment has failed.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence


def flaw(causes: Mapping[str, Sequence[str]], trials: str = "runs") -> str:
    """Names the groups without a successful trial, their number of trials, and the most common cause.

    Args:
        causes: by group (a loop; all points of a sweep), the cause of each trial's failure; empty for a success.
        trials: plural noun for the trials, such as `runs`.

    Returns:
        One line; empty if each group that has trials has a successful one.
    """
    tried = {group: each for group, each in causes.items() if each}
    failed = {group: each for group, each in tried.items() if all(each)}
    if not failed:
        return ""
    failures = [cause for group in failed.values() for cause in group]
    cause, times = collections.Counter(failures).most_common(1)[0]
    groups = f" of {' and '.join(failed)}" if len(failed) < len(tried) else ""
    most = f", {times} of them for this cause" if times < len(failures) else ""
    if len(failures) == 1:
        return f"the only {trials.removesuffix('s')}{groups} failed: {cause}"
    return f"none of the {len(failures)} {trials}{groups} succeeded{most}: {cause}"
