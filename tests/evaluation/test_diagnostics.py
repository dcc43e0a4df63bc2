from mtbkd.evaluation.diagnostics import finite_or_none, not_applicable


def test_not_applicable():
    found = not_applicable("A point estimate has no chains.", "point")
    assert (found.verdict, found.words, found.numbers, found.kind) == (
        "not applicable",
        ["A point estimate has no chains."],
        {},
        "point",
    )


def test_what_json_has_not_is_none():
    found = finite_or_none({"a": float("nan"), "b": float("-inf"), "c": 3, "d": 0.5, "e": None})
    assert found == {"a": None, "b": None, "c": 3, "d": 0.5, "e": None}
    assert isinstance(found["c"], int)
