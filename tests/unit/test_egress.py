"""Which certificate authorities count, by the variables of the environment that name files of them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from devstack.certificate import make_certificate
from learnosity.egress import BUNDLES, SYSTEM_STORE, Egress
from learnosity.errors import ConnectionConfigError


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two files with one authority each."""
    found = {}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found[name] = make_certificate(tmp_path / name).certificate
    return found


@pytest.mark.parametrize(
    ("system", "bundles"), list(product([None, "a", "b"], product([None, "a", "b"], repeat=len(BUNDLES))))
)
def test_each_file_of_authorities_counts_once_and_that_of_the_machine_not_again(
    system: str | None, bundles: tuple[str | None, ...], files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, name in zip((SYSTEM_STORE, *BUNDLES), (system, *bundles), strict=True):
        if name is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, str(files[name]))
    certificates = Egress().certificates()
    for name, path in files.items():
        expected = int(name in bundles and name != system)
        assert certificates.count(path.read_bytes().strip()) == expected, name


@pytest.mark.parametrize("variable", [SYSTEM_STORE, *BUNDLES])
def test_a_file_that_cannot_be_read_is_named_with_the_first_variable_that_names_it(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (SYSTEM_STORE, *BUNDLES)
    for each in names:
        monkeypatch.delenv(each, raising=False)
    for each in names[names.index(variable) :]:
        monkeypatch.setenv(each, str(tmp_path / "nothing.pem"))
    with pytest.raises(ConnectionConfigError, match=f"The environment variable {variable} names"):
        Egress().certificates()


def test_a_folder_of_authorities_counts_although_openssl_does_not_read_it_as_the_file_of_the_machine(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = files["a"].parent
    for variable in (SYSTEM_STORE, *BUNDLES):
        monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr(Path, "iterdir", lambda self: iter([files["a"]]))
    assert Egress().certificates().count(files["a"].read_bytes().strip()) == 1
