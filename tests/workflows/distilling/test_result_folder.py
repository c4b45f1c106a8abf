"""What a result was begun with, and what another line in its folder is told."""

from pathlib import Path

import pytest

from sedistill.common.errors import UserError
from sedistill.workflows.distilling.asked import Asked
from sedistill.workflows.distilling.result_folder import ResultFolder


@pytest.mark.parametrize(("twin", "told"), [(True, "without"), (False, "with")])
def test_a_line_with_another_twin_is_told_the_option_that_there_is(
    twin: bool, told: str, tmp_path: Path
) -> None:
    with ResultFolder(tmp_path, Asked(twin=twin)).alone():
        pass
    ResultFolder(tmp_path, Asked(twin=twin)).take_up()
    with pytest.raises(UserError, match=f"was begun {told} --no-twin; say the same again"):
        ResultFolder(tmp_path, Asked(twin=not twin)).take_up()
