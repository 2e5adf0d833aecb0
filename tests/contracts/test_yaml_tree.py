import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crossdock.contracts.yaml_tree import MAX_DEPTH, YamlInvalid, read_tree

# PyYAML writes these YAML 1.1 line breaks so that even its own reader folds them into spaces.
letters = st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029")
plain = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(letters, max_size=20)
data = st.recursive(
    plain | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc12 :", min_size=1), inner, max_size=4),
    max_leaves=12,
)


@given(data)
def test_what_a_yaml_writer_wrote_is_read_as_it_was(given_data):
    assert read_tree(yaml.safe_dump(given_data, allow_unicode=True)).data == given_data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"),  # a code; YAML 1.1 made it 8
        ("520000", 520000),
        ("0", 0),
        ("-7", -7),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),  # a time; YAML 1.1 made it 45045
        ("2026-01-31", "2026-01-31"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1.5", 1.5),
        ("1e3", "1e3"),
        ("1.5e+3", 1500.0),
        ("01.5", "01.5"),
        (".inf", ".inf"),
        ("1.0e+9999", "1.0e+9999"),
        ("9" * 50, "9" * 50),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 1", "1"),
        ("!!int '1'", 1),
    ],
)
def test_scalars_mean_what_both_versions_of_yaml_say_and_codes_stay_text(text, value):
    found = read_tree(f"k: {text}").data["k"]
    assert (found, type(found)) == (value, type(value))


def test_every_part_has_its_line():
    tree = read_tree("a:\n  - b: 1\n    c: 2\n  - d\n")
    assert tree.lines == {(): 1, ("a",): 1, ("a", 0): 2, ("a", 0, "b"): 2, ("a", 0, "c"): 3, ("a", 1): 4}


def test_keys_that_stand_twice_are_found_with_their_line():
    assert read_tree("a: 1\nb: {c: 1, c: 2}\na: 3\n").repeated == [(("b", "c"), 2), (("a",), 3)]


def test_an_alias_means_what_its_anchor_holds():
    assert read_tree("a: &x [1, 2]\nb: *x\n").data == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "no valid YAML"),
        ("a: 1\n---\nb: 2\n", "several YAML documents"),
        ("a: !!python/object/apply:os.system [ls]", "means nothing here"),
        ("a: !!binary aGk=", "means nothing here"),
        ("a: !!int x", "no int"),
        ("a: !!bool maybe", "no bool"),
        ("? [a, b]\n: 1", "plain word"),
        ("a: &x [*x]", "no anchor 'x'"),
        ("a: *nowhere", "no anchor 'nowhere'"),
        ("a: b\x00c", "no valid YAML"),
    ],
)
def test_what_means_nothing_is_refused(text, said):
    with pytest.raises(YamlInvalid, match=said):
        read_tree(text)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 200_000, "nests deeper"),
        ("{a: " * 200_000, "nests deeper"),
        ("- " * 200_000 + "x", "nests deeper"),
        ("\n".join(" " * depth + "a:" for depth in range(MAX_DEPTH + 5)), "nests deeper"),
        (BOMB, "more than 500,000 parts"),
        ("[" + "1, " * 600_000 + "1]", "more than 500,000 parts"),
    ],
)
def test_text_that_was_made_to_hurt_is_refused_soon(text, said):
    start = time.perf_counter()
    with pytest.raises(YamlInvalid, match=said):
        read_tree(text)
    assert time.perf_counter() - start < 20
