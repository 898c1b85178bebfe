import numpy as np

from seqgan import pipeline


def test_pipeline_goes_on_over_the_end_of_an_epoch(tiny, lines):
    found = [real.numpy() for real, _, _ in pipeline.batches(tiny, lines, first=19).take(2)]
    for number, real in zip((19, 20), found, strict=True):
        rows = lines.epoch_order(tiny.batch_size, tiny.seed, number // 20)[number % 20]
        np.testing.assert_array_equal(real, lines.tokens[rows])
