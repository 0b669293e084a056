"""What the tasks after `create_dataset` know about the dataset."""

from __future__ import annotations

import pytest

from learnosity.api.dataset_request import DatasetRequest
from learnosity.create_operator import _existing
from learnosity.created_dataset import levels_of


@pytest.mark.parametrize("levels", [0, 1, 3])
def test_only_a_dataset_that_this_run_created_has_the_levels_of_its_request(levels: int) -> None:
    groups = [{"key": f"level{number}", "label": "Level"} for number in range(levels)]
    request = DatasetRequest.from_mapping({"dataset_type": "activity-summary-by-group", "groups": groups})
    created = {"dataset_id": "d", "request": request.body("d", 1)}
    assert levels_of(created) == (levels or None)
    # The dataset may have other levels than the request in the run's config, which is not sent.
    assert levels_of(_existing(request, "d", None, None)) is None


def test_the_request_of_an_earlier_release_says_nothing() -> None:
    assert levels_of({"dataset_id": "d"}) is None
