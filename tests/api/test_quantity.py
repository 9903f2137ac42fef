"""Kubernetes resource quantities."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.api.quantity import binary_quantity, parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        pytest.param("0", "0", id="nothing"),
        pytest.param("128Mi", "134217728", id="mebibytes"),
        pytest.param("128M", "128000000", id="megabytes"),
        pytest.param("1.5Gi", "1610612736", id="a fraction of a gibibyte"),
        pytest.param("500m", "0.5", id="half a core"),
        pytest.param("2", "2", id="two cores"),
        pytest.param(".5", "0.5", id="no digit before the point"),
        pytest.param("1.", "1", id="no digit after the point"),
        pytest.param("100u", "0.0001", id="micro"),
        pytest.param("12e6", "12000000", id="a small exponent sign"),
        pytest.param("12E6", "12000000", id="a large exponent sign"),
        pytest.param("12E", "12000000000000000000", id="exa is no exponent"),
        pytest.param("1Ei", "1152921504606846976", id="exbibytes"),
        pytest.param("-1Ki", "-1024", id="negative"),
    ],
)
def test_a_quantity_is_read_as_a_number_of_its_base_unit(text, amount):
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "Mi", "128 Mi", "128mi", "1e", "1e999999999", "12MB", "1.2.3", "0x10", "NaN", "128Mi\n"])
def test_what_is_no_quantity_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="128Mi"):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        pytest.param("268435456", "256Mi", id="a whole number of mebibytes"),
        pytest.param("1073741824", "1Gi", id="the largest unit that divides"),
        pytest.param("1000000", "1000000", id="no binary unit divides"),
        pytest.param("0.5", "1", id="rounded up to a byte"),
        pytest.param("0", "0", id="nothing"),
    ],
)
def test_bytes_are_written_with_the_largest_binary_unit_that_divides_them(amount, text):
    assert binary_quantity(Decimal(amount)) == text


@given(st.integers(min_value=0, max_value=2**70))
def test_bytes_are_read_back_as_written(amount):
    assert parse_quantity(binary_quantity(Decimal(amount))) == amount
