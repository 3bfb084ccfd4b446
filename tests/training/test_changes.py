"""Settings changed from outside."""

from __future__ import annotations

import pytest

from enpointe.core.errors import InputError
from enpointe.training.changes import changed
from enpointe.training.settings import Phase, Settings

SETTINGS = Settings((Phase(0.5, 64, "many"), Phase(1.0, 8, "few")), learning_rate=1e-3)


def test_fields_and_the_batch_of_every_phase() -> None:
    made = changed(
        SETTINGS,
        [
            "learning_rate=1e-5",
            "batch=4",
            "optimizer=muon",
            "compile=false",
            "microbatch=2",
            "seed=0",
            "warmup=7",
            "feed=stream",
        ],
    )
    assert [(phase.until, phase.batch, phase.examples) for phase in made.phases] == [(0.5, 4, "many"), (1.0, 4, "few")]
    assert (made.learning_rate, made.optimizer, made.compile) == (1e-5, "muon", False)
    assert (made.microbatch, made.seed, made.warmup, made.feed) == (2, 0, 7, "stream")
    assert made.clip == SETTINGS.clip
    assert changed(made, ["microbatch=none"]).microbatch is None
    assert changed(SETTINGS, []) == SETTINGS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rate=1", "expected NAME=VALUE with one of .*learning_rate.*, found 'rate=1'"),
        ("learning_rate", "expected NAME=VALUE"),
        ("phases=1", "expected NAME=VALUE"),
        ("learning_rate=fast", "set learning_rate: expected a number above 0, found 'fast'"),
        ("learning_rate=nan", "expected a number above 0"),
        ("warmup=0", "set warmup: expected a whole number above 0, found '0'"),
        ("batch=1.5", "set batch: expected a whole number above 0, found '1.5'"),
        ("workers=-1", "set workers: expected a whole number of 0 or above, found '-1'"),
        ("compile=1", "set compile: expected true or false, found '1'"),
        ("clip=inf", "expected a number above 0"),
        ("feed=fast", "set feed: expected auto or stream or resident, found 'fast'"),
    ],
)
def test_what_is_no_change(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        changed(SETTINGS, [change])
