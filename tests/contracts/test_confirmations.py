"""A contract with an unconfirmed guess can't be used, and says what is left to confirm."""

import pytest

from drafts import PEOPLE, REGISTER, contract, problems, read


def asked(value, *, index=1):
    """The usual columns, one of them with a crossdock property."""
    return [
        {**given, "customProperties": [{"property": "crossdock", "value": value}]} if place == index else given
        for place, given in enumerate(PEOPLE)
    ]


def test_a_column_that_waits_is_named(tmp_path):
    assert problems(tmp_path, contract(asked({"confirm": "It is a name. Is that so?"}))) == [
        (
            "schema[0].properties[1].customProperties[0].value.confirm: Column 'name': a person must confirm: It is a name. Is that so? "
            "Mend what is wrong; remove `confirm` when done."
        )
    ]


def test_a_dataset_that_waits_says_each_question(tmp_path):
    found = problems(tmp_path, contract(crossdock=REGISTER | {"confirm": ["one.", "two."]}))
    assert [text.partition(" Mend")[0] for text in found] == [
        "customProperties[0].value.confirm[0]: The dataset: a person must confirm: one.",
        "customProperties[0].value.confirm[1]: The dataset: a person must confirm: two.",
    ]


@pytest.mark.parametrize("value", [None, {}, {"confirm": ""}])
def test_nothing_is_left_to_confirm(tmp_path, value):
    assert read(tmp_path, contract(asked(value)))
    assert read(tmp_path, contract(crossdock=REGISTER | {"confirm": []}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"cofirm": "?"}, "There is no key 'cofirm' here. Did you mean 'confirm'?"),
        ("yes", "mapping"),
        ({"confirm": True}, "string"),
    ],
)
def test_a_misspelt_question_is_no_answer(tmp_path, value, said):
    assert said in " ".join(problems(tmp_path, contract(asked(value))))


def test_other_peoples_properties_are_left_alone(tmp_path):
    given = [PEOPLE[0], {**PEOPLE[1], "customProperties": [{"property": "other", "value": {"confirm": "x"}}]}]
    assert read(tmp_path, contract(given))
