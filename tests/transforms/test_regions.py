import pyarrow as pa
import pytest

from authored import transformed
from crossdock.demo import real


@pytest.fixture(scope="module")
def divisions():
    rows = [row for row in real.divisions() if row["行政区划代码"].isdigit()]
    return pa.table(
        {
            "code": [row["行政区划代码"] for row in rows],
            "name": [row["名称"] for row in rows],
            "full_name": [row["全称"] for row in rows],
        }
    )


def test_code_and_name_are_each_others_inverse_for_every_real_division(divisions):
    codes, names = divisions["code"].to_pylist(), divisions["full_name"].to_pylist()
    assert transformed("region_code", names, reference=divisions) == codes
    assert transformed("region_name", codes, reference=divisions) == names


def test_an_own_name_is_enough_when_only_one_division_has_it(divisions):
    assert transformed("region_code", ["贵阳市", "贵州省", "南明区"], reference=divisions) == [
        "520100",
        "520000",
        "520102",
    ]


def test_a_name_that_several_divisions_have_is_not_guessed(divisions):
    assert divisions["name"].to_pylist().count("长安区") > 1
    assert transformed("region_code", ["长安区", "火星", "", None, "520102"], reference=divisions) == [
        "长安区",
        "火星",
        "",
        None,
        "520102",
    ]


def test_a_code_without_a_division_stays(divisions):
    assert transformed("region_name", ["999999", "贵阳市", None], reference=divisions) == ["999999", "贵阳市", None]
