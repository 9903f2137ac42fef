"""Go duration text, both ways."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.durations import go_duration, parse_duration

WORDS = [
    pytest.param("0s", timedelta(), id="nothing"),
    pytest.param("1µs", timedelta(microseconds=1), id="the smallest"),
    pytest.param("850ms", timedelta(milliseconds=850), id="below a second"),
    pytest.param("1.5ms", timedelta(microseconds=1500), id="a fraction below a second"),
    pytest.param("1s", timedelta(seconds=1), id="a second"),
    pytest.param("3.25s", timedelta(seconds=3, milliseconds=250), id="a fraction of seconds"),
    pytest.param("10m0s", timedelta(minutes=10), id="minutes"),
    pytest.param("1h0m0s", timedelta(hours=1), id="an hour"),
    pytest.param("25h1m1.5s", timedelta(days=1, hours=1, minutes=1, seconds=1.5), id="more than a day"),
]


@pytest.mark.parametrize(("text", "length"), WORDS)
def test_a_duration_is_written_as_go_writes_it_and_read_back(text, length):
    assert go_duration(length) == text
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        pytest.param("90s", timedelta(seconds=90), id="not normalised"),
        pytest.param("1.5h", timedelta(minutes=90), id="a fraction of an hour"),
        pytest.param("100us", timedelta(microseconds=100), id="us for µs"),
        pytest.param("5000ns", timedelta(microseconds=5), id="nanoseconds"),
        pytest.param("1h30m", timedelta(minutes=90), id="without seconds"),
    ],
)
def test_other_forms_of_go_are_read(text, length):
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "1d", "5m ", "1h-3m", "1,5h", "99999999999999999999h"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_a_negative_length_counts_as_none():
    assert go_duration(timedelta(seconds=-3)) == "0s"


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=10_000)))
def test_what_is_written_is_read_back_to_the_microsecond(length):
    assert abs(parse_duration(go_duration(length)) - length) <= timedelta(microseconds=1)
