"""A bundle is what was written, wherever it is copied, or it is refused with a sentence; nothing outside is opened."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from small_bundle import DESCRIPTION, edit
from stfpm3d.methods.registry import METHODS, declaration
from stfpm3d.prediction.bundle import content_digest, read_bundle, write_bundle
from stfpm3d.prediction.description import ALWAYS, SCHEMA_VERSION
from stfpm3d.runtime.errors import InputError

ENDINGS = {"head": ".nii.gz", "config": ".yaml"}
ROLES = sorted(ALWAYS | {*declaration("stfpm").roles})
Place = tuple[str | int, ...]


def of_the_run(folder: Path) -> dict[str, Path]:
    """Files to make a bundle of."""
    paths = {role: folder / f"of_the_run_{role}{ENDINGS.get(role, '.safetensors')}" for role in ROLES}
    for role, path in paths.items():
        path.write_bytes(role.encode())
    return paths


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    return of_the_run(tmp_path)


@pytest.fixture
def bundle(sources: dict[str, Path], tmp_path: Path) -> Path:
    write_bundle(tmp_path / "bundle", sources, DESCRIPTION)
    return tmp_path / "bundle"


def test_a_copied_bundle_holds_what_was_written(bundle: Path, tmp_path: Path) -> None:
    read = read_bundle(shutil.move(bundle, tmp_path / "elsewhere"))
    assert read.description == DESCRIPTION
    assert sorted(read.files) == ROLES
    assert read.files["student"] == tmp_path / "elsewhere/student.safetensors"
    assert read.files["head"] == tmp_path / "elsewhere/head.nii.gz"
    assert read.files["student"].read_bytes() == b"student"


def test_equal_bundles_have_equal_bytes_and_nothing_of_an_earlier_one(bundle: Path, sources, tmp_path: Path) -> None:
    before = (bundle / "bundle.json").read_bytes()
    (bundle / "gaussian.safetensors").write_bytes(b"of another run")
    write_bundle(bundle, sources, DESCRIPTION)
    assert (bundle / "bundle.json").read_bytes() == before
    assert not (bundle / "gaussian.safetensors").exists()
    assert str(tmp_path).encode() not in before


def test_what_could_not_be_read_is_not_written(bundle: Path, sources) -> None:
    before = (bundle / "bundle.json").read_bytes()
    with pytest.raises(InputError, match=r"bundle cannot be made: validation\.scores: list should have at least 1"):
        write_bundle(bundle, sources, DESCRIPTION | {"validation": {"scores": [], "least_likeness": 0.9}})
    assert (bundle / "bundle.json").read_bytes() == before


# Every field of bundle.json


@pytest.fixture(scope="module")
def unedited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unedited")
    write_bundle(folder / "bundle", of_the_run(folder), DESCRIPTION)
    return folder / "bundle"


@pytest.fixture
def described(unedited: Path) -> Iterator[Path]:
    """A bundle of which a test edits nothing but `bundle.json`."""
    whole = (unedited / "bundle.json").read_bytes()
    yield unedited
    (unedited / "bundle.json").write_bytes(whole)


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """The place of every value in the description, at any depth."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, found in inner:
        yield from places(found, (*place, key))


FORMAT = {
    "schema_version": SCHEMA_VERSION,
    "files": {f"{role}{ENDINGS.get(role, '.safetensors')}": 64 * "0" for role in ROLES},
    "sha256": 64 * "0",
}
PLACES = list(places({**DESCRIPTION, **FORMAT}))


def at(content: Any, place: Place) -> Any:
    for part in place:
        content = content[part]
    return content


def put(place: Place, value: Any):
    """An edit of the value at a place."""

    def change(content: dict[str, Any]) -> None:
        at(content, place[:-1])[place[-1]] = value

    return change


def remove(place: Place):
    def change(content: dict[str, Any]) -> None:
        del at(content, place[:-1])[place[-1]]

    return change


def another(value: Any) -> Any:
    """A value of the same kind that nobody would notice."""
    if value is None:
        return 1.0
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("b" if value.endswith("a") else "a")
    return value[::-1] + value[:1] if isinstance(value, list) else {**value, "more": 1}


def refused(bundle: Path) -> str:
    """The sentence by which the bundle is refused, which names it and says what to do."""
    with pytest.raises(InputError) as found:
        read_bundle(bundle)
    told = str(found.value)
    assert told.startswith(str(bundle)) and "\n" not in told and len(told) < 700
    assert told.endswith(
        ("copy the whole bundle again from its source.", "(cp -rL).", "or use the clone that made it.")
    ), told
    return told


def test_the_fields_that_are_edited_are_those_of_a_bundle(described: Path) -> None:
    assert set(places(json.loads((described / "bundle.json").read_text()))) == set(PLACES)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_an_edited_field_is_refused(described: Path, place: Place) -> None:
    whole = (described / "bundle.json").read_bytes()
    value = at(json.loads(whole), place)
    for change in (put(place, another(value)), put(place, [value]), put(place, str(value) + " "), remove(place)):
        edit(described, change, forged=False)
        refused(described)
        (described / "bundle.json").write_bytes(whole)
    read_bundle(described)


OF_NO_FORM: dict[str, Any] = {
    "null": None,
    "path": "../../outside",
    "absolute path": "/etc/passwd",
    "empty": "",
    "long": 5000 * "a",
    "line": "a\nb",
    "mapping": {"a": 1},
    "list": [[]],
    "infinite": 10**400,
    "not a number": float("nan"),
}


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_a_forged_field_of_no_form_is_refused_by_its_name(described: Path, place: Place) -> None:
    """The digest is that of the edited description: the form alone speaks against it."""
    whole = (described / "bundle.json").read_bytes()
    for value in OF_NO_FORM.values():
        if value is None and place[0] == "record":  # of a figure that nobody measured
            continue
        edit(described, put(place, value), forged=place != ("sha256",))
        told = refused(described)
        assert str(place[0]).removeprefix("schema_") in told or "NaN is no number" in told
        (described / "bundle.json").write_bytes(whole)


REQUIRED = [place for place in PLACES if isinstance(place[-1], str) and place[0] != "sha256"]


@pytest.mark.parametrize("place", REQUIRED, ids=lambda place: ".".join(map(str, place)))
def test_a_forged_bundle_lacks_no_field_and_has_none_besides(described: Path, place: Place) -> None:
    whole = (described / "bundle.json").read_bytes()
    edit(described, remove(place), forged=True)
    assert str(place[0]) in refused(described)
    (described / "bundle.json").write_bytes(whole)
    edit(described, put((*place[:-1], f"{place[-1]}x"), 1), forged=True)
    assert str(place[0]) in refused(described)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("min_lesion_ml",), -0.1),
        (("healthy_quantile",), 1.0),
        (("validation", "scores"), []),
        (("validation", "scores"), [2.0, 1.0]),
        (("validation", "least_likeness"), 1.5),
        (("registration", "seed"), -1),
        (("maker", "blocks"), [4]),
        (("maker", "mirror_share"), 1.5),
        (("maker", "lesion_sign"), 0),
        (("method",), "segmentation"),
        (("files",), []),
        (("files",), {}),
    ],
)
def test_a_forged_number_lies_in_its_range(described: Path, place: Place, value: object) -> None:
    edit(described, put(place, value), forged=True)
    assert str(place[0]) in refused(described)


@pytest.mark.parametrize(
    "name", ["../outside.csv", "/etc/passwd", "a/b.csv", ".hidden", "head.nii.gz ", "", "CON", "a\\b.c"]
)
def test_a_forged_name_of_a_file_leads_nowhere(described: Path, name: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["files"][name] = content["files"].pop("head.nii.gz")

    edit(described, change, forged=True)
    assert "files" in refused(described)


def test_a_bundle_that_pools_has_a_gaussian(described: Path) -> None:
    edit(described, put(("maker", "pooling_mm"), 4.0), forged=True)
    assert "files lacks gaussian" in refused(described)


def test_a_bundle_holds_no_file_of_another_method(described: Path) -> None:
    edit(described, lambda content: content["files"].update({"model.safetensors": 64 * "0"}), forged=True)
    assert "files lists model, which no bundle of stfpm holds" in refused(described)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged"),
        (b"[]", "holds list"),
        (b"3", "holds int"),
        (b"null", "holds NoneType"),
        (b"{", "damaged"),
        (b"{}", "schema_version: field required"),
        (b"\xff\xfe{}", "utf-8"),
        (b'{"sha256": "\xe9"}', "utf-8"),
        (b"\xef\xbb\xbf{}", "BOM"),
        (b'{"method": "stfpm", "method": "padim"}', "'method' stands twice"),
        (b'{"threshold": NaN}', "NaN is no number"),
        (b'{"threshold": -Infinity}', "-Infinity is no number"),
        (b'{"threshold": ' + 9999 * b"9" + b"}", "damaged"),
        (100_000 * b"[", "damaged"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_a_damaged_description_is_refused(described: Path, content: bytes, said: str) -> None:
    (described / "bundle.json").write_bytes(content)
    assert said in refused(described)


def test_a_key_that_stands_twice_inside_is_refused(described: Path) -> None:
    path = described / "bundle.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 0, "seed": 0'))
    assert "'seed' stands twice" in refused(described)


def test_a_huge_description_is_not_read(described: Path) -> None:
    os.truncate(described / "bundle.json", 10**12)
    assert "it has 1000000000000 bytes" in refused(described)


@pytest.mark.parametrize("version", [4, 99, -1])
def test_another_version_is_refused(described: Path, version: int) -> None:
    edit(described, put(("schema_version",), version), forged=False)
    assert f"version {version}, expected {SCHEMA_VERSION}" in refused(described)


def test_another_order_of_the_keys_changes_nothing(described: Path) -> None:
    content = json.loads((described / "bundle.json").read_text())
    (described / "bundle.json").write_text(json.dumps(content, sort_keys=True, indent=4))
    assert read_bundle(described).description == DESCRIPTION
    assert content_digest(copy.deepcopy(content)) == content["sha256"]


# Its files


def test_a_changed_byte_is_refused(bundle: Path) -> None:
    (bundle / "student.safetensors").write_bytes(b"Student")
    assert "student.safetensors has changed since the bundle was made" in refused(bundle)


def test_a_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "head.nii.gz").unlink()
    assert "head.nii.gz is missing" in refused(bundle)


@pytest.mark.parametrize("kind", ["folder", "pipe", "broken link", "loop"])
def test_what_is_no_file_is_refused_and_not_waited_for(bundle: Path, kind: str) -> None:
    path = bundle / "head.nii.gz"
    path.unlink()
    make = {"folder": Path.mkdir, "pipe": os.mkfifo, "loop": lambda path: path.symlink_to(path)}
    make.get(kind, lambda path: path.symlink_to("nowhere.nii.gz"))(path)
    assert "head.nii.gz is no plain file" in refused(bundle)


@pytest.mark.parametrize("name", ["head.nii.gz", "bundle.json"])
def test_a_link_that_leads_out_is_refused_though_the_bytes_are_the_same(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    shutil.move(bundle / name, tmp_path / name)
    (bundle / name).symlink_to(tmp_path / name)
    assert f"{name} is a link that leads out of the bundle" in refused(bundle)


def test_a_link_within_the_bundle_or_to_it_is_followed(bundle: Path, tmp_path: Path) -> None:
    shutil.move(bundle / "head.nii.gz", bundle / "blob")
    (bundle / "head.nii.gz").symlink_to("blob")
    (tmp_path / "link").symlink_to(bundle)
    assert read_bundle(tmp_path / "link").description == DESCRIPTION


def test_files_that_it_does_not_list_are_never_opened(bundle: Path) -> None:
    os.mkfifo(bundle / "._head.nii.gz")
    (bundle / ".DS_Store").write_bytes(b"of a Mac")
    assert sorted(read_bundle(bundle).files) == ROLES


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no bundle, it has no bundle\.json"):
        read_bundle(tmp_path)


# Its version


def test_the_version_is_that_of_what_the_map_makers_take() -> None:
    """A bundle of other settings would end in a traceback: whoever changes them raises `SCHEMA_VERSION`, and this."""
    network = "combine blocks normalised agreement pooling_mm in_medians smoothing_mm mirror_share asymmetry_weight"
    machine = {"accelerator", "threads"}
    taken = {
        "network:network_maps": {*network.split(), "lesion_sign", "precision", *machine},
        "reconstruction:fanogan_maps": {"kappa", "precision", *machine},
        "lesion_odds:segmenter_maps": {"precision", *machine},
        "baselines:intensity_maps": {"lesion_sign", "mirror_share", "smoothing_mm"},
        "baselines:zscore_maps": {"smoothing_mm"},
        "segmentation:segmentation_maps": {"top_fraction"},
        "foreign:own_maps": {"settings", "seed", "precision", *machine},
        "made_elsewhere:given_maps": {"binary"},
    }
    found = {maker: {*signature(resolve_name(f"stfpm3d.maps.{maker}")).parameters} - {"files"} for maker in taken}
    assert (SCHEMA_VERSION, found) == (6, taken)
    methods = {method: declaration(method) for method in METHODS}
    makers = {method: row.maker.removeprefix("stfpm3d.maps.") for method, row in methods.items() if row.maker}
    assert {*makers.values()} == {*taken}
    for method, maker in makers.items():
        assert {*methods[method].form().model_fields} == taken[maker] - machine, method
