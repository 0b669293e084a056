"""What the tasks after `create_dataset` know about the dataset."""

from __future__ import annotations

import pytest

from learnosity.api.dataset_request import DatasetRequest
from learnosity.created_dataset import check_job, existing_dataset, item_bank, levels_of
from learnosity.errors import RequestError


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_only_a_dataset_that_this_run_created_has_the_levels_of_its_request(levels: int) -> None:
    groups = [{"key": f"level{number}", "label": "Level"} for number in range(levels)]
    request = DatasetRequest.from_mapping({"dataset_type": "activity-summary-by-group", "groups": groups})
    created = {"dataset_id": "d", "request": request.body("d", 1)}
    assert levels_of(created) == (levels or None)
    # The dataset may have other levels than the request in the run's config, which is not sent.
    assert levels_of(existing_dataset(request, "d", None, None)) is None


def test_the_request_of_an_earlier_release_says_nothing() -> None:
    assert levels_of({"dataset_id": "d"}) is None


@pytest.mark.parametrize("empty", [None, "", "  ", "\n"])
def test_a_new_dataset_has_no_job_yet(empty: str | None) -> None:
    check_job(empty, create=True)
    check_job(empty, create=False)
    check_job("a-job", create=False)


def test_a_job_to_wait_for_beside_a_new_dataset_is_refused_with_what_to_do() -> None:
    with pytest.raises(RequestError, match=r"job_reference.*set create to false.*empty job_reference"):
        check_job("a-job", create=True)


@pytest.mark.parametrize("of_connection", [None, 7])
@pytest.mark.parametrize("of_run", [None, 8])
def test_the_item_bank_is_the_one_that_was_sent(of_run: int | None, of_connection: int | None) -> None:
    request = DatasetRequest("ibk-analysis-by-question", organisation_id=of_run)
    sent = of_run or of_connection
    made = {"dataset_id": "d", "request": request.body("d", 0, of_connection)}
    # `create_dataset` of different releases returned no item bank, that of the run config, or that which was sent.
    for earlier in ({}, {"organisation_id": of_run}, {"organisation_id": sent}):
        assert item_bank({**made, **earlier}) == {"organisation_id": sent}
    assert item_bank(existing_dataset(request, "d", None, of_connection)) == {"organisation_id": sent}


def test_the_item_bank_of_release_one_is_not_known_unless_the_run_named_it() -> None:
    assert item_bank({"dataset_id": "d", "request": {}, "organisation_id": None}) == {}
    assert item_bank({"dataset_id": "d", "organisation_id": 7}) == {"organisation_id": 7}
