"""The words of a run's report and what they mean, for its page and for the documentation."""

from __future__ import annotations

from loop_bench.report.report import Term

VERDICTS = (
    Term(
        "faster",
        "The 95% interval of the ratio of times, before / after, lies above 1 and above what the null arm shows. The "
        "figure is how many times as fast the loop after is.",
    ),
    Term(
        "slower",
        "The interval lies below 1 and below what the null arm shows. The figure is how many times as long the loop "
        "after takes.",
    ),
    Term(
        "same",
        "The whole interval lies within the precision asked for (3% unless set): a difference of that size is "
        "excluded.",
    ),
    Term(
        "inconclusive",
        "Neither a difference nor its absence was shown. A longer run or a quieter machine may decide it; the loops "
        "may well differ.",
    ),
    Term(
        "invalid",
        "There is no result: a loop failed, a metric was not finite, the loops did unequal work, they do not compute "
        "the same thing, or the run was cut short. Its times mean nothing.",
    ),
)
"""What a run can conclude."""

OTHERS = (
    Term(
        "null arm",
        "A second instance of the loop before, timed in turns with the two. It shows how much two equal loops differ "
        "in this run: a difference no larger than that is noise.",
    ),
    Term(
        "doubt",
        "A reason to trust the figures less, which does not overturn the verdict: drift, rounds that resemble their "
        "neighbours, retracing, a throttled GPU.",
    ),
    Term(
        "suspicious",
        "A batch took less time than touching each moving weight once takes on this device: what was timed can hardly "
        "be training.",
    ),
    Term(
        "host sync",
        "A read of a tensor's value by Python. The host waits for the device, and a GPU may run out of work meanwhile. "
        "On a CPU a read has nothing to wait for.",
    ),
    Term(
        "equivalence",
        "Whether both loops compute the same thing: fresh loops train from one seed with the options that the pair "
        "names for it, and metrics, updates and drawn tokens are compared bit for bit, or within a tolerance for "
        "rounding. A loop that fails it has no speed-up.",
    ),
    Term(
        "survival",
        "The state of a loop after an injected fault. Skipped: the bad update was left out, bit for bit. Survived: all "
        "numbers are finite and the weights still move. Frozen: finite, but the weights hardly move any more. "
        "Poisoned: weights or optimizer state are not finite. Crashed: an error ended the loop.",
    ),
)
"""The other words, in the order in which a report uses them."""

TERMS = (*VERDICTS, *OTHERS)
