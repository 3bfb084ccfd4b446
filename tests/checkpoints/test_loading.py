"""Released checkpoints: the right structure, nothing run that lies in a file, and the same network in the end."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from enpointe.checkpoints import conversion, structure
from enpointe.checkpoints.adapters import to_released
from enpointe.checkpoints.conversion import read_released_state
from enpointe.checkpoints.hub import download
from enpointe.checkpoints.hub.cache import cache_dir, read_pin
from enpointe.checkpoints.hub.download import fetch, import_file
from enpointe.checkpoints.loading import export_released, load_released
from enpointe.checkpoints.registry import MODELS, register_model, released_file, released_models
from enpointe.checkpoints.released import RELEASED
from enpointe.checkpoints.structure import build_empty, check_structure, expected_state, release_keys
from enpointe.checkpoints.weights import save_weights, sha256
from enpointe.core.errors import InputError, OutputError, WeightsError
from enpointe.nn.point_transformer import PointTransformer

if TYPE_CHECKING:
    from .conftest import Tiny


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.golden
@pytest.mark.parametrize("name", tuple(released_models()))
def test_structure_is_the_release_s(name: str, golden_folder: Path) -> None:
    manifest = json.loads((golden_folder / "manifests.json").read_text())[name]
    found = expected_state(name)
    assert {key: list(value.shape) for key, value in found.items()} == manifest
    assert all(value.is_meta for value in found.values())
    learned = sum(math.prod(shape) for shape in manifest.values())
    assert released_models()[name].parameters == learned


def test_nine_names() -> None:
    assert set(released_models()) == {
        "base40M-imagevec", "base40M-textvec", "base40M-uncond", "base40M", "base300M", "base1B", "upsample", "sdf",
        "pointnet",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["base40M-textvec", "upsample", "sdf", "pointnet"])
def test_release_keys_are_one_to_one(name: str) -> None:
    network = build_empty(name)
    keys = release_keys(network)
    assert sorted(keys.values()) == sorted(network.state_dict())


def test_wrong_keys_are_named() -> None:
    state = expected_state("base40M")
    state["ln_pre.weight"] = torch.empty(7, device="meta")
    del state["ln_post.bias"]
    state["surplus"] = torch.empty(1, device="meta")
    with pytest.raises(WeightsError) as raised:
        check_structure(state, "base40M", "file")
    assert "missing keys ln_post.bias; extra keys surplus" in str(raised.value)
    assert "wrong shapes ln_pre.weight (expected (512,), found (7,))" in str(raised.value)


@pytest.mark.parametrize(("held", "wanted"), [("base300M", "base40M"), ("sdf", "upsample"), ("pointnet", "sdf")])
def test_another_model_s_checkpoint_is_recognised(held: str, wanted: str) -> None:
    with pytest.raises(WeightsError, match=rf"\(it is a checkpoint of {held}\)"):
        check_structure(expected_state(held), wanted, "file")


def test_whole_numbers_are_no_weights() -> None:
    state = expected_state("sdf")
    state["output_proj.bias"] = state["output_proj.bias"].int()
    with pytest.raises(WeightsError, match=r"wrong kinds output_proj\.bias"):
        check_structure(state, "sdf", "file")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_becomes_the_network(tiny: Tiny, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"given{suffix}"
    if suffix == ".pt":
        path.write_bytes(tiny.data)
    else:
        save_file(tiny.state(), path)
    network, sha = load_released("tiny", path=path)
    assert sha == digest(path.read_bytes())
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert same(network.state_dict(), tiny.network.state_dict())
    x, t, vector = torch.randn(2, 6, 9), torch.tensor([3.0, 700.0]), torch.randn(2, 5)
    assert torch.equal(network(x, t, vector=vector), tiny.network(x, t, vector=vector))
    assert not tiny.cache.exists()


def test_what_was_loaded_does_not_hang_on_the_file(tiny: Tiny, tmp_path: Path) -> None:
    path = tiny.write(tmp_path)
    network, _ = load_released("tiny", path=path)
    with path.open("r+b") as file:
        file.write(bytes(len(tiny.data)))
    assert same(network.state_dict(), tiny.network.state_dict())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_precision_is_the_one_asked_for(tiny: Tiny, tmp_path: Path, dtype: torch.dtype) -> None:
    network, _ = load_released("tiny", path=tiny.write(tmp_path), dtype=dtype)
    expected = {key: value.to(dtype) for key, value in tiny.network.state_dict().items()}
    assert same(network.state_dict(), expected)


def test_pointnet_counters_stay_whole_numbers(tmp_path: Path) -> None:
    shapes = expected_state("pointnet")
    state = {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in shapes.items()}
    state["bn1.num_batches_tracked"] += 2_000_001  # bfloat16 could not hold it
    path = tmp_path / "pointnet.pt"
    torch.save({"epoch": 3, "model_state_dict": state, "optimizer_state_dict": {}}, path)
    network, _ = load_released("pointnet", path=path, dtype=torch.bfloat16)
    found = network.state_dict()
    assert found["bn1.num_batches_tracked"] == 2_000_001
    assert found["fc1.weight"].dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_colour_scales_keep_their_precision(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    config = replace(RELEASED["upsample"].config, width=16, layers=1, heads=2)
    monkeypatch.setitem(structure.BUILDERS, "tiny", config.build)
    path = tmp_path / "upsampler.pt"
    torch.save({key: value.to(dtype) for key, value in to_released(config.build().state_dict()).items()}, path)
    network, _ = load_released("tiny", path=path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.bfloat16}
    assert isinstance(network, PointTransformer)
    assert network.channel_scales.dtype == torch.float32
    if dtype == torch.float32:
        white = 255 * network.channel_scales[3] + network.channel_biases[3]
        assert float(white) == pytest.approx(1, abs=1e-6)


def test_float16_checkpoints_are_taken(tiny: Tiny, tmp_path: Path) -> None:
    half = {key: value.half() for key, value in tiny.state().items()}
    path = tmp_path / "half.pt"
    torch.save(half, path)
    assert same(read_released_state(path, "tiny"), half)
    network, _ = load_released("tiny", path=path)
    assert {value.dtype for value in network.state_dict().values()} == {torch.float32}
    import_file(path, "tiny")
    assert same(load_file(fetch("tiny")), half)


def test_files_without_the_archive_of_today_are_read(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save(tiny.state(), path, _use_new_zipfile_serialization=False)
    assert same(read_released_state(path, "tiny"), tiny.state())


def test_streaming_gives_every_tensor_once(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny.write(tmp_path)
    monkeypatch.setattr(conversion, "_WINDOW", 5000)  # several openings
    streamed = [(key, value.clone()) for key, value in conversion.stream_released(path, "tiny")]
    assert len(streamed) == len(tiny.state())
    assert same(dict(streamed), tiny.state())


class Malice:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def pickled_code(tiny: Tiny, path: Path) -> None:
    torch.save({**tiny.state(), "ln_pre.bias": Malice(path.parent / "ran")}, path)


def plain_pickle(_tiny: Tiny, path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Malice(path.parent / "ran")}, protocol=4))


def truncated(tiny: Tiny, path: Path) -> None:
    path.write_bytes(tiny.data[: len(tiny.data) // 2])


def page(_tiny: Tiny, path: Path) -> None:
    path.write_text("<!DOCTYPE html><html><body>Sign in to download</body></html>")


def empty(_tiny: Tiny, path: Path) -> None:
    path.write_bytes(b"")


def bomb(_tiny: Tiny, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10_000_000))


def nonsense(_tiny: Tiny, path: Path) -> None:
    path.write_bytes(b"\x80\x02" + bytes(range(256)))


def not_a_state(_tiny: Tiny, path: Path) -> None:
    torch.save([1, 2], path)


def not_tensors(_tiny: Tiny, path: Path) -> None:
    torch.save({"epoch": 3}, path)


def half_safetensors(tiny: Tiny, path: Path) -> None:
    save_file(tiny.state(), path)
    path.write_bytes(path.read_bytes()[:-100])


def huge_header(_tiny: Tiny, path: Path) -> None:
    path.write_bytes((2**60).to_bytes(8, "little") + b"{}")


def other_model(tiny: Tiny, path: Path) -> None:
    torch.save({key: value for key, value in tiny.state().items() if "resblocks.1" not in key}, path)


BAD: dict[Callable[[Tiny, Path], None], str] = {
    pickled_code: "found code",
    plain_pickle: "found a pickle of something else; it was not run",
    truncated: "truncated",
    page: "begins with b'<!DOCTYPE",
    empty: "an empty one",
    bomb: "10000000 bytes unpacked",
    nonsense: "expected",
    not_a_state: "found a list",
    not_tensors: "'epoch': int",
    half_safetensors: "damaged",
    huge_header: "damaged",
    other_model: "missing keys backbone.resblocks.1",
}


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_bad_files_are_refused_in_one_line(
    tiny: Tiny, tmp_path: Path, make: Callable[[Tiny, Path], None], recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "bad.pt"
    make(tiny, path)
    for use in (lambda: read_released_state(path, "tiny"), lambda: import_file(path, "tiny")):
        with pytest.raises(WeightsError) as raised:
            use()
        assert BAD[make] in str(raised.value)
        assert str(raised.value).startswith(str(path))
        assert "\n" not in str(raised.value)
        assert "weights_only=False" not in str(raised.value)
    assert not recwarn.list
    assert not (tmp_path / "ran").exists()
    assert not tiny.cache.exists()


def test_what_is_no_file(tiny: Tiny, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(WeightsError, match="expected a checkpoint"):
            load_released(tiny.name, path=path)
    with pytest.raises(InputError, match="expected one of base40M-imagevec"):
        load_released("base40m", path=tmp_path / "absent.pt")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_must_be_finite(tiny: Tiny, tmp_path: Path, value: float) -> None:
    state = tiny.state()
    state["ln_pre.bias"] = torch.full_like(state["ln_pre.bias"], value)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"NaN or infinity in .*ln_pre\.bias"):
        load_released("tiny", path=tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"NaN or infinity in .*ln_pre\.bias"):
        import_file(tmp_path / "x.pt", "tiny")
    assert [path.name for path in tiny.cache.iterdir()] == ["tiny.lock"]


def test_too_large_for_the_precision(tiny: Tiny, tmp_path: Path) -> None:
    state = tiny.state()
    state["ln_pre.bias"] = torch.full_like(state["ln_pre.bias"], 1e6)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=r"in torch\.float16.*ln_pre\.bias"):
        load_released("tiny", path=tmp_path / "x.pt", dtype=torch.float16)


def test_import_converts_and_pins(tiny: Tiny, tmp_path: Path) -> None:
    source = tiny.write(tmp_path)
    pin = import_file(source, "tiny")
    converted = tiny.cache / "tiny.safetensors"
    assert (pin.source, pin.source_sha256) == (str(source), digest(tiny.data))
    assert (pin.sha256, pin.n_bytes) == (digest(converted.read_bytes()), converted.stat().st_size)
    assert read_pin("tiny") == pin
    assert same(load_file(converted), tiny.state())
    assert {path.name for path in tiny.cache.iterdir()} == {"tiny.safetensors", "tiny.json", "tiny.lock"}
    network, sha = load_released("tiny")
    assert sha == digest(tiny.data)
    assert same(network.state_dict(), tiny.network.state_dict())


def test_a_changed_cache_is_noticed(tiny: Tiny, tmp_path: Path) -> None:
    import_file(tiny.write(tmp_path), "tiny")
    converted = tiny.cache / "tiny.safetensors"
    data = bytearray(converted.read_bytes())
    data[-3] ^= 1
    converted.write_bytes(data)
    with pytest.raises(WeightsError, match=f"expected SHA-256 .* found {digest(bytes(data))}.*--again"):
        load_released("tiny")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files whose digests were computed, in order."""
    paths: list[Path] = []
    compute = sha256

    def counting(path: Path) -> str:
        paths.append(path)
        return compute(path)

    monkeypatch.setattr(download, "sha256", counting)
    return paths


def test_an_unchanged_file_is_not_read_for_its_digest(tiny: Tiny, tmp_path: Path, hashed: list[Path]) -> None:
    source = tiny.write(tmp_path)
    pin = import_file(source, "tiny")
    converted = tiny.cache / "tiny.safetensors"
    assert hashed == [source, converted]
    assert [load_released("tiny")[1] for _ in range(3)] == [pin.source_sha256] * 3
    assert len(hashed) == 2
    os.utime(converted, ns=(10**18, 10**18))  # touched, or copied: read once, and then known again
    assert [load_released("tiny")[1] for _ in range(3)] == [pin.source_sha256] * 3
    assert len(hashed) == 3
    data = bytearray(converted.read_bytes())
    data[-1] ^= 1
    converted.write_bytes(data)
    os.utime(converted, ns=(10**18, 10**18))  # other bytes, of the same size and time
    with pytest.raises(WeightsError, match="has changed since it was verified"):
        load_released("tiny")


def test_a_pin_that_cannot_be_written_is_left(
    tiny: Tiny, tmp_path: Path, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import_file(tiny.write(tmp_path), "tiny")
    known = json.loads((tiny.cache / "tiny.json").read_text())
    del known["stamp"]  # as former versions wrote it
    (tiny.cache / "tiny.json").write_text(json.dumps(known))

    def refused(name: str, pin: object) -> None:
        raise OutputError("read-only")

    monkeypatch.setattr(download, "write_pin", refused)
    assert load_released("tiny")[1] == load_released("tiny")[1] == known["source_sha256"]
    assert len(hashed) == 4


def test_weights_put_into_the_cache_by_hand_are_checked_and_pinned(tiny: Tiny) -> None:
    tiny.cache.mkdir()
    converted = tiny.cache / "tiny.safetensors"
    save_file(tiny.state(), converted)
    _, sha = load_released("tiny")
    assert sha == digest(converted.read_bytes())
    pin = read_pin("tiny")
    assert pin is not None
    assert pin.sha256 == sha


def test_a_pin_that_is_none(tiny: Tiny) -> None:
    tiny.cache.mkdir()
    (tiny.cache / "tiny.json").write_text("[]")
    with pytest.raises(WeightsError, match=r"tiny\.json: expected the checksum of tiny"):
        fetch("tiny")


@pytest.mark.parametrize("nested", [False, True])
def test_export_is_what_the_release_loads(tiny: Tiny, tmp_path: Path, nested: bool) -> None:
    import_file(tiny.write(tmp_path), "tiny")
    if nested:
        spec = replace(MODELS["tiny"], released=replace(released_file("tiny"), nested=True))
        MODELS.unregister("tiny")
        register_model(spec)
    target = tmp_path / "out.pt"
    export_released("tiny", target)
    loaded = torch.load(target, weights_only=True)
    assert same(loaded["model_state_dict"] if nested else loaded, tiny.state())
    assert target.stat().st_size < 1.2 * len(tiny.data)
    export_released("tiny", tmp_path / "out.safetensors")
    assert same(load_file(tmp_path / "out.safetensors"), tiny.state())


def test_what_a_training_left_is_loaded_and_exported(tiny: Tiny, tmp_path: Path) -> None:
    """Its file has our key names."""
    ours, target = tmp_path / "best.safetensors", tmp_path / "out.pt"
    save_weights(ours, tiny.network.state_dict(), {}, "float32")
    assert same(load_released("tiny", path=ours)[0].state_dict(), tiny.network.state_dict())
    export_released("tiny", target, ours)
    assert same(torch.load(target, weights_only=True), tiny.state())
    export_released("tiny", tmp_path / "out.safetensors", ours)
    assert same(load_file(tmp_path / "out.safetensors"), tiny.state())
    save_weights(ours, {}, {})
    with pytest.raises(WeightsError, match=r"best\.safetensors: expected the weights of tiny, found others: missing"):
        export_released("tiny", target, ours)


def test_export_without_weights(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="enpointe models download tiny"):
        export_released(tiny.name, tmp_path / "out.pt")
    with pytest.raises(InputError, match=r"\.pt, \.safetensors"):
        export_released(tiny.name, tmp_path / "out.bin")
    assert not (tmp_path / "out.pt").exists()


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ENPOINTE_CACHE", "~/weights")
    assert cache_dir() == Path.home() / "weights"
    monkeypatch.delenv("ENPOINTE_CACHE")
    for platform, variable in (("linux", "XDG_CACHE_HOME"), ("win32", "LOCALAPPDATA")):
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert cache_dir() == tmp_path / variable / "enpointe"
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_dir() == Path.home() / "Library" / "Caches" / "enpointe"
    assert not any(tmp_path.iterdir())


def test_a_cache_that_cannot_be_made(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ENPOINTE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match="ENPOINTE_CACHE names another"):
        import_file(tiny.write(tmp_path), "tiny")
