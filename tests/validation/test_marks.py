import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from crossdock.validation.marks import Marks
from crossdock.validation.quarantine import Failing, Reason

batches = st.lists(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=20), max_size=5
)


@given(rows=batches)
def test_marks_keep_every_bit_of_every_rule(rows):
    marks = Marks()
    for batch in rows:
        marks.add_batch(len(batch), {"a": pa.array([r[0] for r in batch]), "b": pa.array([r[1] for r in batch])})
    flat = [row for batch in rows for row in batch]
    marks.add_rows("c", np.array([n for n, row in enumerate(flat) if row[2]], np.int64))
    assert (marks.rows, marks.batches) == (len(flat), len(rows))
    assert marks.count("c") == sum(row[2] for row in flat)
    assert marks.count_any(["a", "c"]) == sum(row[0] or row[2] for row in flat)
    reasons = {name: Reason(rule=name, columns=(name,), reason=name.upper()) for name in "abc"}
    failing = Failing(marks=marks, reasons=reasons)
    for number, batch in enumerate(rows):
        broken = marks.broken(number, "abc")
        assert broken.tolist() == [any(row) for row in batch]
        names = [[f["rule"] for f in each] for each in failing.failures(number, np.nonzero(broken)[0]).to_pylist()]
        assert names == [[rule for rule, hit in zip("abc", row, strict=True) if hit] for row in batch if any(row)]
