"""What one of several processes does; evaluation/ and training/ let several run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol import processes
from wsol.cores import usable_cores
from wsol.errors import DataError, SharedError
from wsol.processes import gather, is_first, join, on_first, share


@given(count=st.integers(0, 200), batch_size=st.integers(1, 40), world=st.integers(1, 9))
def test_shares_are_whole_batches_of_all_places(count: int, batch_size: int, world: int) -> None:
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        for rank in range(world):
            patch.setattr(processes, "process", lambda rank=rank: (rank, world))
            shares.append(share(count, batch_size))
    assert [place for each in shares for place in each] == list(range(count))
    assert all(each.start % batch_size == 0 for each in shares if each)
    batches = [-(-len(each) // batch_size) for each in shares]
    assert max(batches) - min(batches) <= 1


def test_alone() -> None:
    def fail(_: object) -> None:
        raise DataError("as it is")

    assert gather(3) == [3] and join(3, list) == [3] and on_first(3, str) == "3"
    for work in (join, on_first):
        with pytest.raises(DataError, match="as it is"):
            work(3, fail)
    with pytest.raises(SharedError, match="told"):
        gather(SharedError("told"))


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "8", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"LOCAL_RANK": "1", "SLURM_PROCID": "0"}, False),
        ({"SLURM_PROCID": "3"}, False),
    ],
    ids=str,
)
def test_who_writes(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first() == first


def test_processes_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert usable_cores() == 16
    for processes_, cores in (("4", 4), ("5", 3), ("32", 1)):
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes_)
        assert usable_cores() == cores
