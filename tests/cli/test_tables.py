"""Lists fit the terminal that they are shown on, and a pipe gets whole lines."""

from io import StringIO

import pytest
from rich.console import Console

from kubernaut.cli.tables import show

pytestmark = pytest.mark.unit
COLUMNS = ("NAME", "PHASE", "TARGET")
ROWS = [("remediation-twfq36mkom", "AwaitingApproval", "production/deployment/payment-service"), ("remediation-a", "Failed", "")]


def printed(width, *, terminal):
    out = StringIO()
    show(Console(file=out, width=width, force_terminal=terminal, color_system=None), COLUMNS, ROWS)
    return out.getvalue().splitlines()


TABLE = [
    "NAME                    PHASE             TARGET",
    "remediation-twfq36mkom  AwaitingApproval  production/deployment/payment-service",
    "remediation-a           Failed",
]
BLOCKS = [
    "remediation-twfq36mkom",
    "  phase   AwaitingApproval",
    "  target  production/deployment/payment-service",
    "remediation-a",
    "  phase   Failed",
]


@pytest.mark.parametrize(
    ("width", "terminal", "lines"),
    [
        pytest.param(80, True, TABLE, id="a terminal that is wide enough"),
        pytest.param(60, True, BLOCKS, id="a narrow terminal"),
        pytest.param(20, False, TABLE, id="a pipe"),
    ],
)
def test_a_list_is_a_table_where_it_fits_and_else_a_few_lines_each(width, terminal, lines):
    assert printed(width, terminal=terminal) == lines
