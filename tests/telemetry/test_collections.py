from __future__ import annotations

import gc

from authz.telemetry.collections import CollectorPauses


def test_every_collection_is_measured_until_the_stop() -> None:
    pauses = CollectorPauses()
    gc.disable()
    try:
        pauses.start()
        gc.collect()
        gc.collect(0)
        pauses.stop()
        gc.collect()
    finally:
        gc.enable()
    assert sum(pauses.histogram.counts) == 2
    assert pauses.histogram.sum_ns > 0
    assert pauses._note not in gc.callbacks
