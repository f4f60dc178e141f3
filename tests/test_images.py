import io
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipviz.errors import ClipvizWarning, InputError
from clipviz.images import open_image, prepare

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

LOSSLESS = {"WEBP": {"lossless": True}, "JPEG": {"quality": 95, "subsampling": 0}}


def noise(width=13, height=7, channels=3):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def file_of(picture, kind="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def pixels(source):
    picture = open_image(source)
    assert picture.mode == "RGB" and not picture.info
    return np.asarray(picture)


# ---- every way to hand one over


def test_path_bytes_file_pil_array_and_tensor_agree(tmp_path, monkeypatch):
    import torch

    array = noise()
    data = file_of(Image.fromarray(array))
    path = tmp_path / "ein Bild 숲.png"
    path.write_bytes(data)
    monkeypatch.chdir(tmp_path)
    sources = [path, str(path), path.name, data, bytearray(data), memoryview(data), io.BytesIO(data), Image.open(path)]
    sources += [array, np.asfortranarray(array), array[:, ::-1][:, ::-1], array / 255, (array / 255).astype(np.float32)]
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    sources += [tensor, tensor / 255, (tensor / 255).double().requires_grad_(), tensor.contiguous()]
    for source in sources:
        np.testing.assert_array_equal(pixels(source), array)


def test_half_precision_and_grey():
    import torch

    grey = noise(channels=0)
    for source in (grey, grey[:, :, None], torch.from_numpy(grey)[None], Image.fromarray(grey)):
        np.testing.assert_array_equal(pixels(source), np.repeat(grey[:, :, None], 3, axis=2))
    close = pixels(torch.from_numpy(grey / 255)[None].to(torch.bfloat16)).astype(int)
    assert np.abs(close[:, :, 0] - grey).max() <= 1


def test_the_callers_object_stays_as_it_was(tmp_path):
    data = b"before" + file_of(Image.fromarray(noise()))
    stream = io.BytesIO(data)
    stream.seek(6)
    assert open_image(stream).size == open_image(stream).size == (13, 7)
    assert stream.tell() == 6
    picture = Image.fromarray(noise())
    result = open_image(picture)
    result.putpixel((0, 0), (1, 2, 3))
    np.testing.assert_array_equal(np.asarray(picture), noise())
    path = tmp_path / "a.png"
    Image.fromarray(noise()).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an open file would give a ResourceWarning
        open_image(path)
    path.unlink()


# ---- what a file may hold


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(orientation, kind):
    # red at the left, blue at the bottom right, as the person saw it
    upright = np.full((32, 48, 3), 255, dtype=np.uint8)
    upright[:16, :16], upright[16:, 32:] = (255, 0, 0), (0, 0, 255)
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = Image.fromarray(upright)
    stored = stored if undo is None else stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(stored, kind, exif=exif, **LOSSLESS.get(kind, {}))
    result = open_image(data)
    assert np.abs(np.asarray(result).astype(int) - upright).max() <= (2 if kind == "JPEG" else 0)
    np.testing.assert_array_equal(pixels(result), np.asarray(result))  # a second time turns nothing


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_is_ignored():
    data = file_of(Image.fromarray(noise()), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    np.testing.assert_array_equal(pixels(data), noise())


def test_transparency_is_laid_over_white():
    array = np.zeros((2, 2, 4), dtype=np.uint8)
    array[..., 3] = [[0, 255], [51, 128]]
    want = np.repeat(np.array([[255, 0], [204, 127]])[..., None], 3, axis=2)
    picture = Image.fromarray(array)
    for source in (array, array / 255.0, picture, file_of(picture), picture.convert("LA"), picture.convert("RGBa")):
        assert np.abs(pixels(source).astype(int) - want).max() <= 1
    assert np.abs(pixels(picture.convert("LA").convert("La")).astype(int) - want).max() <= 1


def test_palette_with_transparency_and_without():
    picture = Image.new("P", (2, 1))
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.putpixel((1, 0), 1)
    assert pixels(file_of(picture)).tolist() == [[[10, 20, 30], [200, 100, 50]]]
    assert pixels(file_of(picture, transparency=0)).tolist() == [[[255] * 3, [200, 100, 50]]]
    assert pixels(file_of(picture, "GIF", transparency=1)).tolist() == [[[10, 20, 30], [255] * 3]]
    grey = Image.fromarray(np.array([[7, 9]], dtype=np.uint8))
    assert pixels(file_of(grey, transparency=7)).tolist() == [[[255] * 3, [9] * 3]]


def test_one_bit_and_sixteen_bits():
    bits = Image.fromarray(np.array([[True, False]]))
    assert bits.mode == "1" and pixels(file_of(bits))[0, :, 0].tolist() == [255, 0]
    deep = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    picture = Image.fromarray(deep)
    for source in (picture, file_of(picture), file_of(picture, "TIFF"), Image.fromarray(deep.astype(np.int32))):
        assert pixels(source)[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]
    big = Image.frombytes("I;16B", (3, 1), deep.astype(">u2").tobytes())
    assert pixels(big)[0, :, 0].tolist() == [0, 100, 255]
    assert pixels(file_of(picture, transparency=0))[0, :, 0].tolist() == [255, 100, 255]


def test_float_pictures():
    picture = Image.fromarray(np.array([[0, 0.2, 1]], dtype=np.float32))
    assert picture.mode == "F" and pixels(picture)[0, :, 0].tolist() == [0, 51, 255]
    with pytest.raises(InputError, match="0 to 1 is allowed"):
        open_image(Image.fromarray(np.array([[0, 200.0]], dtype=np.float32)))


def test_cmyk_as_adobe_writes_it_and_as_others_do():
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = file_of(red, "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(pixels(data).astype(int) - (255, 0, 0)).max() < 8
    assert np.abs(pixels(file_of(red, "TIFF")).astype(int) - (255, 0, 0)).max() == 0
    # without the Adobe marker the inks are not inverted
    stored = file_of(Image.new("CMYK", (16, 16), (255, 0, 0, 255)), "JPEG", quality=95)
    at = stored.index(b"\xff\xee")
    length = struct.unpack(">H", stored[at + 2 : at + 4])[0]
    plain = stored[:at] + stored[at + 2 + length :]
    assert np.abs(pixels(plain).astype(int) - (255, 0, 0)).max() < 8


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animated_file_gives_its_first_frame_and_a_warning(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = file_of(frames[0], kind, save_all=True, append_images=frames[1:], **LOSSLESS.get(kind, {}))
    with pytest.warns(ClipvizWarning, match="3 frames and the first is used"):
        assert pixels(data)[0, 0].tolist() == [255, 0, 0]
    chosen = Image.open(io.BytesIO(data))
    chosen.seek(2)
    assert pixels(chosen)[0, 0].tolist() == [0, 0, 255]  # the caller's own choice of frame: no warning


def test_a_still_of_a_phone_with_a_preview_gives_no_warning():
    first, preview = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (8, 8), "blue")
    data = file_of(first, "MPO", save_all=True, append_images=[preview])
    assert pixels(data)[0, 0, 0] > 240


# ---- what is refused


def refused(source, *words):
    with pytest.raises(InputError) as caught:
        open_image(source)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
    for word in words:
        assert word in text, text


def test_files_that_are_no_picture(tmp_path):
    text = tmp_path / "note.jpg"
    text.write_text("hello world, not a picture")
    refused(text, "note.jpg", "b'hello world,", "JPEG, PNG")
    (tmp_path / "empty.png").touch()
    refused(tmp_path / "empty.png", "is empty")
    refused(b"", "0 bytes")
    refused(io.BytesIO(), "0 bytes")
    refused(tmp_path, "is a folder", "open_source")
    refused(tmp_path / "missing.png", "There is no file", "missing.png")
    refused("", "empty path")
    refused("a\0b.png", "b.png")
    refused("x" * 5000, "cannot be opened")
    refused("~nobody-of-that-name/a.png", "nobody-of-that-name")


@pytest.mark.parametrize(
    "address", ["http://a.org/b.jpg", "https://a.org/b.jpg", "s3://a/b.jpg", "data:image/png;base64,aa"]
)
def test_addresses_are_not_fetched(address):
    refused(address, "nothing is fetched", "save the picture")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_cut_off_at_any_place(kind):
    data = file_of(Image.fromarray(noise(64, 48)), kind)
    for end in (5, 20, len(data) // 4, len(data) // 2, len(data) * 3 // 4):
        refused(data[:end], "damaged or cut off" if end > 5 else "")


def test_changed_bytes_give_a_picture_or_an_input_error():
    rng = np.random.default_rng(0)
    outcomes = set()
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "ICO"):
        whole = file_of(Image.fromarray(noise(48, 32)), kind)
        for _ in range(40):
            data = bytearray(whole)
            for at in rng.integers(0, len(data), 4):
                data[at] = rng.integers(256)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    outcomes.add(open_image(bytes(data)).mode)
            except InputError:
                outcomes.add("refused")
    assert outcomes == {"RGB", "refused"}


def png_of_size(width, height):
    import zlib

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 30_000])  # over Pillow's warning, over its error
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side):
    before = list(warnings.filters)
    refused(png_of_size(side, side), "MAX_IMAGE_PIXELS")
    assert list(warnings.filters) == before


def test_bombs_are_refused_in_every_thread(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data, caught = file_of(Image.fromarray(noise(11, 10))), []

    def work():
        try:
            open_image(data)
        except InputError as error:
            caught.append(str(error))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(caught) == 8 and all("11 x 10 pixels, at most 100" in text for text in caught)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 4)), ["no pixels"]),
        (np.zeros((4, 0, 3), np.uint8), ["no pixels"]),
        (np.zeros(5), ["[5]"]),
        (np.float32(3), ["[]"]),
        (np.zeros((2, 8, 8, 3)), ["array[0]"]),
        (np.zeros((3, 8, 8)), ["transpose(1, 2, 0)"]),
        (np.zeros((8, 8, 2)), ["[8, 8, 2]"]),
        (np.full((8, 8), np.nan), ["NaN"]),
        (np.full((8, 8), np.inf), ["infinite"]),
        (np.linspace(0, 255, 64).reshape(8, 8), ["from 0 to 255", "divide by 255"]),
        (np.linspace(-2, 2, 64).reshape(8, 8), ["from -2 to 2", "mean"]),
        (np.full((8, 8), 1.01), ["1.01"]),
        (np.zeros((8, 8), np.int64), ["int64", "uint8"]),
        (np.zeros((8, 8), np.uint16), ["uint16"]),
        (np.zeros((8, 8), bool), ["bool"]),
        (np.zeros((8, 8), complex), ["complex128"]),
        (np.full((8, 8), "a"), ["<U1"]),
        (np.full((8, 8), None), ["object"]),
    ],
)
def test_arrays_that_are_no_picture(array, words):
    refused(array, *words)


def test_the_rounding_of_a_resize_is_forgiven():
    assert pixels(np.array([[-1e-7, 1 + 1e-7]]))[0, :, 0].tolist() == [0, 255]


def test_tensors_that_are_no_picture():
    import torch

    refused(torch.zeros(1, 3, 8, 8), "tensor[0]")
    refused(torch.zeros(8, 8, 3), "permute(2, 0, 1)")
    refused(torch.zeros(8, 8), "[8, 8]")
    refused(torch.zeros(3, 0, 8), "no pixels")
    refused(torch.full((3, 8, 8), torch.nan), "NaN")
    refused(torch.randn(3, 8, 8) * 2, "normalisation")
    refused(torch.zeros(3, 8, 8, dtype=torch.int64), "int64")
    refused(torch.zeros(3, 8, 8, device="meta"), "tensor")
    refused(torch.zeros(3, 8, 8).to_sparse(), "dense")


def test_other_things_are_no_picture():
    refused(None, "got NoneType")
    refused(3, "got int")
    refused([np.zeros((4, 4))], "a list of 1", "clipviz.explain")
    refused(({}), "a dict of 0")
    refused(io.StringIO("text"), "mode 'rb'")
    at_end = io.BytesIO(file_of(Image.fromarray(noise())))
    at_end.read()
    refused(at_end, "seek(0)")
    closed = io.BytesIO(b"x")
    closed.close()
    refused(closed, "cannot be read")
    refused(Image.new("RGB", (0, 4)), "0 x 4")
    refused(Image.fromarray(np.full((2, 2), 70_000, dtype=np.int32)), "70000")
    refused(Image.fromarray(np.full((2, 2), 200, dtype=np.int32)), "convert('L')")


# ---- prepare


SIZES = [(1, 500), (500, 1), (3, 2), (7, 5), (333, 250), (250, 333), (224, 224), (225, 224), (1000, 333), (101, 800)]


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize(("view", "mode"), [("crop", "shortest"), ("squash", "squash"), ("pad", "longest")])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_pixels_equal_those_of_open_clip(shape, view, mode, interpolation):
    from open_clip.transform import image_transform

    picture = Image.fromarray(noise(*shape))
    for size in (224, 97):
        pixels, frame = prepare(picture, size, view, mean=MEAN, std=STD, interpolation=interpolation, fill=0)
        assert pixels.shape == (1, 3, size, size) and pixels.dtype == np.float32 and frame.picture == shape
        transform = image_transform(size, False, MEAN, STD, resize_mode=mode, interpolation=interpolation)
        if view == "pad" and 500 in shape:  # where open_clip rounds a side to nothing, one pixel is kept
            assert min(frame.inner) == 1 and np.isfinite(pixels).all()
            continue
        np.testing.assert_array_equal(pixels[0], transform(picture).numpy())


def test_padding_has_the_mean_colour_or_the_one_asked_for():
    white = np.ones((50, 100, 3))
    pixels, frame = prepare(white, 100, "pad", mean=MEAN, std=STD)
    assert np.abs(pixels[0, :, 0]).max() < 0.01 and frame.shift == (0, 25) and pixels[0, 0, 50, 50] > 1
    pixels, _ = prepare(white, 100, "pad", mean=(0, 0, 0), std=(1, 1, 1), fill=(255, 0, 51))
    np.testing.assert_allclose(pixels[0, :, 0, 0], [1, 0, 0.2])


def test_tiles_show_the_same_canvas():
    picture = Image.fromarray(noise(400, 100))
    pixels, frame = prepare(picture, 64, "tiles", mean=(0,) * 3, std=(1,) * 3, cell=16)
    whole = np.asarray(picture.resize(frame.canvas, Image.Resampling.BICUBIC), dtype=np.float32) / 255
    assert frame.canvas == (256, 64) and len(pixels) == len(frame.tiles) > 3
    for tile, (left, top) in zip(pixels, frame.tiles, strict=True):
        np.testing.assert_array_equal(tile, whole[top : top + 64, left : left + 64].transpose(2, 0, 1))


def test_a_ribbon_that_would_fill_the_memory_is_refused():
    ribbon = noise(1, 5000)  # 224 x 1120000
    with pytest.raises(InputError, match=r"1 x 5000 pixels would become 224 x 1120000.*'squash'"):
        prepare(ribbon, 224, mean=MEAN, std=STD)
    assert prepare(ribbon, 224, "squash", mean=MEAN, std=STD)[0].shape == (1, 3, 224, 224)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"view": "zoom"}, "'crop'"),
        ({"interpolation": "nearest"}, "'bicubic'"),
        ({"size": 0}, "size=0"),
        ({"size": 2.5}, "size=2.5"),
        ({"view": "tiles"}, "cell="),
    ],
)
def test_prepare_names_the_option_that_is_wrong(change, word):
    options = {"size": 32, "mean": MEAN, "std": STD, **change}
    with pytest.raises(InputError, match=word):
        prepare(noise(), **options)


def test_prepare_on_real_photographs(shared):
    import pyarrow.parquet as pq
    from open_clip.transform import image_transform

    transform = image_transform(224, False, MEAN, STD)
    rows = pq.ParquetFile(Path(shared) / "data/tiny-imagenet/val-00.parquet").iter_batches(16, columns=["image"])
    for data in next(rows)["image"].to_pylist():
        want = transform(Image.open(io.BytesIO(data)).convert("RGB")).numpy()
        np.testing.assert_array_equal(prepare(data, 224, mean=MEAN, std=STD)[0][0], want)


def test_torch_is_not_imported_for_pictures():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np, clipviz.images as images, clipviz.text\n"
        "images.prepare(np.zeros((4, 4)), 8, mean=[0] * 3, std=[1] * 3)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
