"""How processes that torchrun starts find each other, and no others."""

import threading
import time
from collections.abc import Iterable

import pytest
import torch.distributed as dist

from sedistill.common import torchrun
from tests.together import free_port


def test_those_that_were_started_again_are_not_taken_for_those_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torchrun keeps their notes; each of several machines counts its restarts apart."""
    monkeypatch.setattr(torchrun, "safe_moment", lambda: None)
    monkeypatch.setattr(torchrun, "START_SECONDS", 0.5)
    port = free_port()
    keeper = dist.TCPStore("127.0.0.1", port, is_master=True, wait_for_workers=False)

    def met(ranks: Iterable[int]) -> set[str]:
        """What so many of three that come one after the other call their attempt."""
        names: list[str] = []

        def comes(rank: int) -> None:
            notes = dist.TCPStore("127.0.0.1", port, is_master=False)
            time.sleep(0.05 * rank)
            try:
                names.append(torchrun._attempt(notes, rank, 3))
            except TimeoutError:
                names.append("nobody else came")

        threads = [threading.Thread(target=comes, args=(rank,)) for rank in ranks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(names) == len(threads)
        return set(names)

    assert met([1, 2]) == {"nobody else came"}
    (first,) = met([0, 1, 2])
    assert met([0, 2]) == {"nobody else came"}, "the one missing was here before, and is gone"
    (second,) = met([0, 1, 2])
    assert "nobody else came" not in {first, second}
    assert first != second
    assert keeper.num_keys() > 0
