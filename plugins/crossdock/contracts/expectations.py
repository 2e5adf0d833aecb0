"""Which Great Expectations expectations a contract may name: those that the engine has a kernel for."""

from __future__ import annotations

# Expectation type -> its allowed keyword arguments beside the column ones.
SUPPORTED: dict[str, frozenset[str]] = {
    "expect_column_values_to_have_gb11643_check_digit": frozenset({"column"}),
    "expect_column_values_to_have_gb32100_check_digit": frozenset({"column"}),
    "expect_column_pair_values_a_to_be_greater_than_b": frozenset({"column_A", "column_B", "or_equal"}),
}
