from pathlib import Path

import pytest

from memx.formats import by_key
from memx.records import Record
from tests.contract.sources import KEYS, builder, read


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The samples that were built so far; see `sample`."""
    return {}


@pytest.fixture(params=KEYS)
def sample(request: pytest.FixtureRequest, samples: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each row of FORMATS. Not to be changed."""
    key: str = request.param
    if key not in samples:
        samples[key] = builder(by_key(key))(tmp_path_factory.mktemp(key))
    return samples[key]


@pytest.fixture(scope="session")
def known_records() -> dict[Path, list[Record]]:
    """The records of the samples that were read so far; see `expected`."""
    return {}


@pytest.fixture
def expected(sample: Path, known_records: dict[Path, list[Record]]) -> list[Record]:
    """The records of `sample`, opened by its path."""
    if sample not in known_records:
        known_records[sample] = read(sample)
    return known_records[sample]
