"""Records of equivalence checks, for tests."""

import datetime

from records import ENVIRONMENT

from loop_bench.experiments.equivalence.record import AgreementRecord, Equivalence, Flip, Lockstep
from loop_bench.settings import Settings

STEPPED = Lockstep(metrics=(2e-7, 9.0, 3e-7), updates=(1e-5, 9.0, 4e-5), other_lines=(0, 2, 0), lines=16)


def found(**fields):
    return Equivalence(**{"batches": 50, "options": {"sampler": "x"}, "equal": True, "reason": "why", **fields})


def agreement_record(**changes):
    """A record with a loop for each result that a check can have."""
    values = {
        "created": datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc),
        "environment": ENVIRONMENT,
        "settings": Settings(before="a:b", after="c:d", preset="tiny", seed=3, batches=1),
        "found": {
            "moved": found(bit_for_bit=True),
            "compiled": found(lockstep=STEPPED, flip=Flip(batch=7, line=1, place=2, before=4, after=5)),
            "calm": found(lockstep=STEPPED.model_copy(update={"other_lines": (0, 0, 0)})),
            "silent": found(lockstep=STEPPED.model_copy(update={"other_lines": None})),
            "other": found(equal=False, reason="it is another one"),
        },
    }
    return AgreementRecord(**{**values, **changes})
