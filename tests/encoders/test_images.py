"""Pictures: files of every kind that people have, and CLIP's preprocessing against closed forms."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from enpointe.core.errors import InputError
from enpointe.encoders.images import CLIP_MEAN, CLIP_STD, MAX_PIXELS, clip_pixels, read_image

WIDTH, HEIGHT = 40, 30


@pytest.fixture(scope="module")
def rgb() -> Image.Image:
    """Noise, so that no encoder makes the file so small that half of it is a whole image."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "webp"])
def test_lossless_formats_give_their_pixels(tmp_path: Path, rgb: Image.Image, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    rgb.save(path, **options)
    assert (pixels(read_image(path)) == pixels(rgb)).all()
    assert read_image(str(path)).size == (WIDTH, HEIGHT)


def test_the_content_tells_the_format_not_the_suffix(tmp_path: Path, rgb: Image.Image) -> None:
    path = tmp_path / "a.jpg"
    rgb.save(path, format="PNG")
    assert (pixels(read_image(path)) == pixels(rgb)).all()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_truncated(tmp_path: Path, rgb: Image.Image, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    rgb.save(path)
    whole = path.read_bytes()
    for keep in (0.05, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * keep)])
        with pytest.raises(InputError, match=path.name):
            read_image(path)


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing there"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="no file there"):
        read_image(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match="empty file"):
        read_image(tmp_path / "empty.png")


@pytest.mark.parametrize(
    "content", [b"a red chair\n", b"<html></html>", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_but_named_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: expected a"):
        read_image(path)


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG of compressed rows; without any, decoding it fails, so what its header says must be refused before."""
    stream = io.BytesIO()
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    PngImagePlugin.putchunk(stream, b"IHDR", size + bytes([depth, colour, 0, 0, 0]))
    PngImagePlugin.putchunk(stream, b"IDAT", data)
    PngImagePlugin.putchunk(stream, b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + stream.getvalue()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [int(MAX_PIXELS**0.5) + 1, 11_000, 30_000])
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(side, side, 8, 2, b""))
    with pytest.raises(InputError, match=f"at most {MAX_PIXELS} pixels"):
        read_image(path)


@pytest.mark.filterwarnings("error")
def test_a_real_30000_by_30000_picture(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(3751 * 1000)) for _ in range(30)) + packer.flush()
    path.write_bytes(png(30_000, 30_000, 1, 0, rows))
    with pytest.raises(InputError, match=f"at most {MAX_PIXELS} pixels"):
        read_image(path)


@pytest.mark.parametrize(
    ("size", "message"), [((1, 1), "at least 16"), ((400, 3), "at least 16"), ((16, 2000), "ratio")]
)
def test_hopeless_shapes(tmp_path: Path, size: tuple[int, int], message: str) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", size).save(path)
    with pytest.raises(InputError, match=f"{message}.*{size[0]} x {size[1]}"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_the_first_frame_of_an_animation(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    red, *others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "blue")]
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    red.save(path, save_all=True, append_images=others, **options)
    with Image.open(path) as written:
        assert getattr(written, "n_frames", 1) == 3
    assert (pixels(read_image(path)) == (255, 0, 0)).all()


@pytest.mark.parametrize("suffix", ["jpg", "tiff"])
def test_cmyk(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (WIDTH, HEIGHT), (200, 40, 90)).convert("CMYK").save(path)
    with Image.open(path) as written:
        assert written.mode == "CMYK"
    assert abs(pixels(read_image(path)) - (200, 40, 90)).max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_grey_of_16_bits_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    grey = np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 54  # 0 to 64,746
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(grey).save(path)
    found = pixels(read_image(path))
    assert abs(found - (grey / 257)[..., None]).max() <= 1
    assert found.max() < 255


def test_colour_of_16_bits_is_scaled_not_clipped(tmp_path: Path, rgb: Image.Image) -> None:
    values = (pixels(rgb) * 257).astype(">u2")
    path = tmp_path / "a.ppm"
    path.write_bytes(f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + values.tobytes())
    assert (pixels(read_image(path)) == pixels(rgb)).all()
    path = tmp_path / "a.png"
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    path.write_bytes(png(WIDTH, HEIGHT, 16, 2, zlib.compress(rows)))
    assert (pixels(read_image(path)) == pixels(rgb)).all()


def test_samples_of_32_bits_are_refused(tmp_path: Path) -> None:
    for values in (np.full((32, 32), 0.5, np.float32), np.full((32, 32), 70_000, np.int32)):
        Image.fromarray(values).save(tmp_path / "a.tiff")
        with pytest.raises(InputError, match="8 or 16 bits per channel"):
            read_image(tmp_path / "a.tiff")


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    colour = np.zeros((32, 32, 4), np.uint8)
    colour[..., :] = (200, 0, 100, 0)
    colour[:, 8:16, 3] = 128
    colour[:, 16:, 3] = 255
    Image.fromarray(colour).save(tmp_path / "a.png")
    found = pixels(read_image(tmp_path / "a.png"))
    assert (found[:, :8] == 255).all()
    assert abs(found[:, 8:16] - np.array([227.4, 127, 177.2])).max() <= 1
    assert (found[:, 16:] == (200, 0, 100)).all()


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.fromarray(np.repeat(np.arange(2, dtype=np.uint8), 16 * 32).reshape(32, 32), mode=None).convert("P")
    picture.putpalette([0, 0, 0, 10, 20, 30])
    for suffix, transparency in (("png", 0), ("png", b"\x00\xff"), ("gif", 0)):
        picture.save(tmp_path / f"a.{suffix}", transparency=transparency)
        found = pixels(read_image(tmp_path / f"a.{suffix}"))
        assert (found[:16] == 255).all()
        assert (found[16:] == (10, 20, 30)).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_and_palettes(tmp_path: Path, rgb: Image.Image, mode: str) -> None:
    picture = rgb.convert("L").convert(mode)
    picture.save(tmp_path / "a.png")
    assert (pixels(read_image(tmp_path / "a.png")) == pixels(picture.convert("RGB"))).all()


def test_every_exif_rotation(tmp_path: Path) -> None:
    # By EXIF's definition, where the stored picture's top left corner belongs in the one that is shown: (row, column).
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    stored = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    stored[0, 0] = 255
    for orientation, (row, column) in corner.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / "a.png"
        Image.fromarray(stored).save(path, exif=exif)
        found = pixels(read_image(path))
        assert found.shape[:2] == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))
        assert found[row, column].sum() == found.sum() == 3 * 255, orientation


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(["png", "jpg", "webp", "gif", "bmp", "tiff"]), data=st.data())
@pytest.mark.slow
def test_damage_gives_a_picture_or_a_clear_error(
    tmp_path: Path, rgb: Image.Image, suffix: str, data: st.DataObject
) -> None:
    stream = io.BytesIO()
    rgb.save(stream, format={"jpg": "JPEG"}.get(suffix, suffix.upper()))
    content = bytearray(stream.getvalue())
    for _ in range(4):
        content[data.draw(st.integers(0, min(len(content), 400) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    try:
        found = read_image(path)
    except InputError as error:
        message = str(error)
        assert path.name in message
    else:
        assert found.mode == "RGB"


def unnormalised(tensor: torch.Tensor) -> np.ndarray:
    values = tensor * torch.tensor(CLIP_STD)[:, None, None] + torch.tensor(CLIP_MEAN)[:, None, None]
    return (values * 255).permute(1, 2, 0).numpy()


def test_a_picture_of_the_right_size_is_only_normalised() -> None:
    values = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    found = clip_pixels(Image.fromarray(values))
    assert found.shape == (3, 224, 224)
    assert found.dtype == torch.float32
    assert abs(unnormalised(found) - values).max() < 1e-3
    assert found[1, 5, 7].item() == pytest.approx((values[5, 7, 1] / 255 - 0.4578275) / 0.26130258, abs=1e-6)


@pytest.mark.parametrize(("size", "left"), [((227, 224), 2), ((225, 224), 0), ((229, 224), 2), ((231, 224), 4)])
def test_the_crop_rounds_halves_to_even(size: tuple[int, int], left: int) -> None:
    """The margins are 1.5, 0.5, 2.5 and 3.5 pixels a side."""
    values = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    assert abs(unnormalised(clip_pixels(Image.fromarray(values))) - values[:, left : left + 224]).max() < 1e-3
    turned = clip_pixels(Image.fromarray(values.transpose(1, 0, 2)))
    assert torch.equal(turned, clip_pixels(Image.fromarray(values)).transpose(1, 2))


def test_the_long_side_is_rounded_down() -> None:
    """1000 x 633 becomes 353.87 x 224, so 353 wide and cropped from 64 (half of 129 is 64.5) on."""
    values = np.random.default_rng(3).integers(0, 256, (633, 1000, 3), dtype=np.uint8)
    resized = np.asarray(Image.fromarray(values).resize((353, 224), Image.Resampling.BICUBIC))
    assert abs(unnormalised(clip_pixels(Image.fromarray(values))) - resized[:, 64:288]).max() < 1e-3


def test_the_resize_is_bicubic_and_antialiased() -> None:
    """A ramp stays a ramp within its middle; a fine checkerboard, far below a pixel, becomes its mean."""
    ramp = np.tile(np.linspace(0, 255, 896), (896, 1)).astype(np.uint8)
    found = unnormalised(clip_pixels(Image.fromarray(ramp)))[100, 20:200, 0]
    assert abs(found - np.linspace(0, 255, 896)[82 : 82 + 180 * 4 : 4]).max() < 2
    board = (np.indices((896, 896)).sum(0) % 2 * 255).astype(np.uint8)
    assert abs(unnormalised(clip_pixels(Image.fromarray(board)))[2:-2, 2:-2] - 127.5).max() < 2
    # Bicubic overshoots at an edge when it enlarges, which nearest and bilinear do not.
    edge = np.full((56, 56), 64, np.uint8)
    edge[:, 28:] = 192
    found = unnormalised(clip_pixels(Image.fromarray(edge)))
    assert found.max() > 196
    assert found.min() < 60


def test_other_modes_and_impossible_shapes() -> None:
    for mode in ("L", "RGBA", "P", "CMYK"):
        assert clip_pixels(Image.new(mode, (50, 40)), 32).shape == (3, 32, 32)
    for size in ((0, 0), (0, 10), (10, 10_000)):
        with pytest.raises(InputError, match="ratio"):
            clip_pixels(Image.new("RGB", size))
