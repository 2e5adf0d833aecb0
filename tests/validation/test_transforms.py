from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from crossdock.contracts.model import Column, Contract, Label, TransformStep
from crossdock.errors import TransformInvalid
from crossdock.validation.transform import load_transform
from crossdock.validation.transforms import TransformChain

SECRET = "secret-value"
ARROW = "from collections.abc import Sequence\nimport pyarrow as pa\nimport pyarrow.compute as pc\n"
PANDAS = "from collections.abc import Sequence\nimport pandas as pd\n"


def column(name, kind="string", **rest):
    return Column(name=name, source_name=name, type=kind, **rest)


def contract(*columns):
    return Contract(
        id="tax/payers", department="tax", dataset="payers", version="1.0.0", status="active",
        title=Label(zh="纳税人", en="payers"), description="", theme="", sharing="none", sharing_basis="", subject=None,
        source=None, columns=columns, rules=(), transforms=(),
    )  # fmt: skip


@pytest.fixture
def batch():
    return pa.record_batch({"a": ["1", None, SECRET], "b": ["x", "y", "z"], "n": pa.array([1.5, float("nan"), None])})


@pytest.fixture
def run(tmp_path, batch):
    """Writes a transform `t` and applies it to column a of the batch."""

    def go(source, *, columns=("a",), references=None, types=None, **step):
        (tmp_path / "t.py").write_text(source, "utf-8")
        steps = [TransformStep(use="t", columns=columns, path="transforms[0]", **step)]
        chain = TransformChain(steps, tmp_path, references or {}, contract=types)
        return chain.apply(batch)

    return go


def arrow(body, more=""):
    return f"{ARROW}def t(batch: pa.RecordBatch, *, columns: Sequence[str]{more}) -> pa.RecordBatch:\n    {body}\n"


def pandas(body):
    return f"{PANDAS}def t(frame: pd.DataFrame, *, columns: Sequence[str]) -> pd.DataFrame:\n    {body}\n"


UPPER = "return batch.set_column(0, 'a', pc.utf8_upper(batch['a']))"


class TestForms:
    def test_a_function_annotated_as_record_batch_gets_arrow(self, run):
        assert run(arrow(UPPER))["a"].to_pylist() == ["1", None, SECRET.upper()]

    def test_a_function_annotated_as_table_gets_a_table(self, run):
        source = arrow(UPPER).replace("RecordBatch", "Table")
        assert run(source)["a"].to_pylist() == ["1", None, SECRET.upper()]

    def test_a_function_annotated_as_data_frame_gets_arrow_backed_pandas(self, run):
        source = pandas(
            "assert str(frame['a'].dtype) == 'string[pyarrow]'; frame['a'] = frame['a'].str.upper(); return frame"
        )
        after = run(source)
        assert after["a"].to_pylist() == ["1", None, SECRET.upper()]
        assert after.schema.field("a").type == pa.string()

    def test_annotations_may_be_postponed(self, run):
        assert run("from __future__ import annotations\n" + arrow(UPPER))["a"].to_pylist()[0] == "1"

    def test_columns_beside_the_named_ones_are_the_very_ones_that_came(self, run, batch):
        assert run(pandas("return frame.copy()")).column("n").equals(batch.column("n")) is False  # NaN: not even itself
        assert run(pandas("return frame.copy()")).column("n").buffers()[1].equals(batch.column("n").buffers()[1])

    def test_options_and_the_reference_are_given_by_keyword(self, run):
        reference = pads.dataset(pa.table({"code": ["k"]}))
        body = "return batch.set_column(0, 'a', pa.array([reference['code'][0].as_py() + mark] * batch.num_rows))"
        after = run(
            arrow(body, ", reference: pa.Table, mark: str"),
            references={"civil_affairs/divisions": reference},
            reference="civil_affairs/divisions",
            options={"mark": "!"},
        )
        assert after["a"].to_pylist() == ["k!"] * 3

    def test_a_column_that_the_source_lacks_is_left_to_the_judge(self, run, batch):
        assert run(arrow("raise KeyError"), columns=("absent",)) is batch

    def test_an_empty_batch_passes(self, tmp_path, batch):
        (tmp_path / "t.py").write_text(arrow("raise KeyError"))
        chain = TransformChain([TransformStep(use="t", columns=("a",))], tmp_path, {})
        assert chain.apply(batch.slice(0, 0)).num_rows == 0


class TestPromise:
    @pytest.mark.parametrize(
        ("source", "message"),
        [
            (arrow("return batch.slice(1)"), "made 2 rows of 3"),
            (arrow("return batch.drop_columns(['b'])"), "lost the columns b"),
            (arrow(f"return batch.append_column('{SECRET}', batch['a'])"), "added columns"),
            (arrow("return batch.append_column('b', batch['a'])"), "added columns"),
            (arrow("return batch.set_column(1, 'b', batch['a'])"), "changed b, beside the columns"),
            (arrow("return batch.take(pa.array([2, 1, 0]))"), "changed b, n, beside the columns"),
            (pandas("return frame.sort_values('b', ascending=False)"), "beside the columns"),
            (pandas("return frame.iloc[[0, 2, 1]]"), "beside the columns"),
            (pandas("return frame.drop(index=0)"), "made 2 rows of 3"),
            (arrow("return None"), "returned a NoneType"),
            (arrow("return {'a': []}"), "returned a dict"),
            (arrow("return batch.set_column(0, 'a', pa.array([[1]] * 3))"), "made column 'a' a list"),
        ],
    )
    def test_a_broken_promise_names_transform_and_step_and_no_value(self, run, source, message):
        with pytest.raises(TransformInvalid) as caught:
            run(source)
        assert message in str(caught.value)
        assert "Transform 't'" in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_pandas_rows_that_moved_are_found_even_if_every_column_was_named(self, run):
        with pytest.raises(TransformInvalid, match="the order of the rows"):
            run(pandas("return frame.iloc[::-1]"), columns=("a", "b", "n"))

    @pytest.mark.parametrize("body", ["int(batch['a'][2].as_py())", "raise RuntimeError(batch['a'])", "return nothing"])
    def test_an_exception_names_its_kind_and_line_and_no_value(self, run, body):
        with pytest.raises(TransformInvalid) as caught:
            run(arrow(body), types=contract(column("a"), column("b"), column("n", "number")))
        assert "in line 5" in str(caught.value)
        assert "tax/payers" in str(caught.value)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__

    def test_a_mixed_data_frame_is_refused_without_its_values(self, run):
        with pytest.raises(TransformInvalid) as caught:
            run(pandas("frame['a'] = pd.Series([1, 'x', object()], dtype=object); return frame"))
        assert "failed with Arrow" in str(caught.value)


class TestTypes:
    def test_the_contracts_type_is_taken(self, run):
        types = contract(column("a", "date"), column("b"), column("n", "number"))
        body = "return batch.set_column(0, 'a', pa.array([1, None, 3], pa.date32()))"
        assert run(arrow(body), types=types).schema.field("a").type == pa.date32()

    def test_text_is_always_taken(self, run):
        types = contract(column("a", "date"), column("b"), column("n", "number"))
        assert run(pandas("return frame"), types=types).schema.field("a").type == pa.string()

    def test_nothing_but_nulls_is_taken(self, run):
        assert run(arrow("return batch.set_column(0, 'a', pa.nulls(3))")).schema.field("a").type == pa.string()

    def test_a_coarser_unit_of_time_is_taken_and_a_lossy_one_is_not(self, run):
        types = contract(column("a", "timestamp"), column("b"), column("n", "number"))
        fits = "frame['a'] = pd.to_datetime(['2024-01-05', None, '2024-01-06']).as_unit('ns'); return frame"
        assert run(pandas(fits), types=types).schema.field("a").type == pa.timestamp("us")
        finer = arrow("return batch.set_column(0, 'a', pa.array([1, 2, 3], pa.timestamp('ns')))")
        with pytest.raises(TransformInvalid, match=r"made column 'a' a timestamp\[ns\]"):
            run(finer, types=types)

    def test_another_type_is_refused_and_the_right_one_named(self, run):
        types = contract(column("a", "integer"), column("b"), column("n", "number"))
        with pytest.raises(TransformInvalid, match=r"made column 'a' a double\. It must be text or int64"):
            run(pandas("frame['a'] = [1.0, 2.0, 3.5]; return frame"), types=types)


class TestLoading:
    def write(self, folder: Path, text: str) -> Path:
        (folder / "t.py").write_text(text, "utf-8")
        return folder

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("def other(): ...", "has no function 't'"),
            ("t = 3", "has no function 't'"),
            ("def t(:", "cannot be imported: SyntaxError in line 1"),
            ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
            ("raise RuntimeError('x')", "cannot be imported: RuntimeError"),
            ("def t(): ...", "no annotation"),
            ("def t(batch, *, columns): ...", "no annotation"),
            ("def t(batch: int, *, columns): ...", "no annotation"),
            ("import pyarrow as pa\ndef t(batch: pa.RecordBatch, columns): ...", "by keyword only"),
            ("import pyarrow as pa\ndef t(batch: pa.RecordBatch): ...", "by keyword only"),
            ("from __future__ import annotations\ndef t(batch: pa.RecordBatch, *, columns): ...", "not imported: pa"),
        ],
    )
    def test_a_malformed_file_is_refused_with_its_fix(self, tmp_path, source, message):
        with pytest.raises(TransformInvalid, match=message) as caught:
            load_transform(self.write(tmp_path, source), "t")
        assert caught.value.fix
        assert "t.py" in caught.value.where

    def test_an_unknown_name_gets_the_nearest_one(self):
        with pytest.raises(TransformInvalid, match="Did you mean 'half_width'"):
            load_transform(Path(__file__).parents[2] / "transforms", "half_widht")

    def test_a_name_cannot_lead_out_of_the_folder(self, tmp_path):
        self.write(tmp_path, arrow(UPPER))
        (tmp_path / "inner").mkdir()
        with pytest.raises(TransformInvalid, match="no transform"):
            load_transform(tmp_path / "inner", "../t")

    @pytest.mark.parametrize(
        ("step", "message"),
        [
            ({"options": {"mrak": 1}}, "takes no option 'mrak'"),
            ({}, "needs 'mark'"),
            ({"reference": "a/b"}, "'reference'"),
        ],
    )
    def test_options_that_do_not_fit_are_refused_before_any_row(self, tmp_path, step, message):
        self.write(tmp_path, arrow(UPPER, ", mark: str"))
        with pytest.raises(TransformInvalid, match=message):
            TransformChain([TransformStep(use="t", columns=("a",), **step)], tmp_path, {})

    def test_a_reference_that_is_not_at_hand_is_named(self, run):
        with pytest.raises(TransformInvalid, match="'civil_affairs/divisions', which is not at hand"):
            run(arrow(UPPER, ", reference: pa.Table"), reference="civil_affairs/divisions")
