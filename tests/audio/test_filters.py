"""The filters: each a triangle of area 1 between its neighbours' peaks; cosines that stand upright to each other."""

import numpy as np
import pytest

from stages.audio.filters import bins_of, dct_columns, hann, slaney_filters


@pytest.mark.parametrize(("n_filters", "frame", "rate"), [(128, 8820, 44100), (40, 4410, 22050)])
def test_slaneys_filters_have_equal_areas_and_overlap_by_half(n_filters, frame, rate):
    filters = slaney_filters(n_filters, frame, rate)
    assert filters.shape == (frame // 2 + 1, n_filters)
    areas = filters.sum(axis=0) * rate / frame
    np.testing.assert_allclose(areas[n_filters // 2 :], 1, rtol=0.02)
    peaks = filters.argmax(axis=0)
    assert (np.diff(peaks) > 0).all()
    assert peaks[-1] < frame // 2
    covered = filters > 0
    assert (covered[:, :-2] & covered[:, 2:]).sum() == 0, "only neighbours share bins"


def test_the_window_is_periodic():
    np.testing.assert_allclose(hann(4), [0, 0.5, 1, 0.5], atol=1e-15)
    np.testing.assert_allclose(hann(400) + np.roll(hann(400), 200), 1)


def test_the_cosines_are_orthonormal():
    columns = dct_columns(40, 20)
    np.testing.assert_allclose(columns.T @ columns, np.eye(20), atol=1e-12)
    np.testing.assert_allclose(columns[:, 0], 1 / np.sqrt(40))


def test_bins_end_at_half_the_rate_if_a_frame_is_even():
    assert bins_of(400, 8000).tolist()[:2] == [0, 20]
    assert bins_of(400, 8000)[-1] == 4000
    assert bins_of(551, 11025)[-1] < 11025 / 2
