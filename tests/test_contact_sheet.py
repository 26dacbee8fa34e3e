from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from geneface.errors import UserError
from tools import contact_sheet


@pytest.mark.parametrize("consent", [None, {"text": "Ada Example, for her own lectures", "granted": True}])
def test_nobody_who_exists_comes_into_a_picture_of_the_repository(consent):
    person = SimpleNamespace(manifest={"consent": consent}, path=Path("person"))
    with pytest.raises(UserError, match="is not the demo's synthetic person"):
        contact_sheet.contact_sheet(None, person)


def test_near_is_bright_and_nothing_black():
    shown = contact_sheet._depth(np.array([[0, 500], [550, 600]], np.uint16))
    assert shown.shape == (2, 2, 3)
    assert shown[0, 0, 0] == 0 and shown[0, 1, 0] == 255 and 255 > shown[1, 0, 0] > shown[1, 1, 0] >= 40
    assert not contact_sheet._depth(np.zeros((2, 2), np.uint16)).any()


def test_checks_are_seen_where_nothing_is():
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[:, :8] = (200, 10, 10, 255)
    shown = contact_sheet._over_checks(rgba)
    assert shown[0, 0].tolist() == [200, 10, 10]
    assert shown[0, 12].tolist() == [240] * 3 and shown[0, 20].tolist() == [205] * 3
