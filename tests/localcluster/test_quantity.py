from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubernaut.localcluster.quantity import QuantityError, canonical, parse


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1.5Gi", "1536Mi"),
        ("1024Mi", "1Gi"),
        ("128Mi", "128Mi"),
        ("1024Ki", "1Mi"),
        ("512", "512"),
        ("1024", "1024"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("100k", "100k"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-1", "-1"),
        ("1e3", "1e3"),
        ("12e4", "120e3"),
        ("2E", "2E"),
        ("1u", "1u"),
        ("0.5n", "1n"),
        ("+5", "5"),
        (".5", "500m"),
        (1, "1"),
        (0.25, "250m"),
        ("0.5Mi", "512Ki"),
        ("1Ki", "1Ki"),
        ("0.5Ki", "512"),
    ],
)
def test_the_canonical_spelling(text, stored: str):
    assert canonical(text) == stored


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1GiB", "Mi", "--1", "1e", "1e99", "0x1", "1.2.3", "1m5"])
def test_what_is_no_quantity_is_refused(text: str):
    with pytest.raises(QuantityError, match="quantities must match the regular expression"):
        parse(text)


suffixes = st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3"])


@given(st.integers(-10_000, 10_000), suffixes)
def test_the_canonical_spelling_has_the_same_value_and_is_its_own(number: int, suffix: str):
    text = f"{number}{suffix}"
    assert parse(canonical(text)) == parse(text)
    assert canonical(canonical(text)) == canonical(text)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_quantities_compare_as_numbers(left: int, right: int):
    assert (parse(f"{left}m") < parse(f"{right}m")) == (left < right)
    assert parse(f"{left}Ki") == Decimal(left * 1024)
