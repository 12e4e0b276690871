"""What a worker is told comes to it as it was said."""

import os

import pytest

from memx.engine.options import StreamOptions
from memx.engine.workers.jobs import Answer, Job, Orders
from memx.formats import by_key


@pytest.mark.parametrize("name", ["scan.dcm", "R\xfccken \u2603.dcm", os.fsdecode(b"no \xff text.dcm"), "a\nb"])
def test_names_of_files_come_back_as_they_were(name: str) -> None:
    job = Job(7, name, name, allowance=1 << 40, predicted_peak=5)
    assert Job.from_json(job.to_json()) == job
    assert job.to_json().count(b"\n") == 1


def test_a_row_is_told_but_for_how_it_is_detected() -> None:
    row = by_key("fits")
    told = Job.from_json(Job(1, "f", row=row).to_json()).row
    assert told is not None
    assert (told.key, told.name, told.load()) == (row.key, row.name, row.load())


def test_an_answer_and_orders_come_back() -> None:
    answer = Answer(3, "failed", "corrupt", None, 5, 6, "dicom", 0.25, "it is \udcff broken")
    assert Answer.from_json(answer.to_json()) == answer
    orders = Orders(StreamOptions(select=("a",), timeout=float("inf")), documents=True, outbox=4)
    assert Orders.from_json(orders.to_json()) == orders
