"""A measurement has a status: no number stands for unknown."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marrowscope.measurement import Measurement, QcCheck, Severity, Status

numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(numbers, st.one_of(st.none(), st.tuples(numbers, numbers)))
def test_round_trip(value: float, interval: tuple[float, float] | None) -> None:
    measurement = Measurement.of("volume", value, "cm3", interval, "thresholds" if interval else "")
    assert Measurement.from_dict(measurement.to_dict()) == measurement
    check = QcCheck("metal", Severity.WARNING, "seen", "left out", measurement, (1, 2))
    assert QcCheck.from_dict(check.to_dict()) == check


def test_unknown_is_a_status_with_a_reason() -> None:
    unknown = Measurement.not_assessable("adc", "1", "no ADC map")
    assert unknown.value is None
    assert "value" not in unknown.to_dict()
    assert Measurement.from_dict(unknown.to_dict()) == unknown


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_stands_for_unknown(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Measurement.of("adc", value, "1")


def test_status_and_value_go_together() -> None:
    with pytest.raises(ValueError, match="only with it"):
        Measurement("adc", "1", Status.FAILED, 0.0)
    with pytest.raises(ValueError, match="reason"):
        Measurement("adc", "1", Status.FAILED)
    with pytest.raises(ValueError, match="two ends"):
        Measurement("adc", "1", Status.MEASURED, 1.0, low=0.5)
