"""Views by OpenGL 3.3 through EGL, with or without a graphics card."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enpointe.core.errors import DeviceError, InputError
from enpointe.geometry.colors import to_linear
from enpointe.io.assets.model import SOLID, Material, Model
from enpointe.render.camera import Camera
from enpointe.render.renderers import RENDERERS, Renderer
from enpointe.render.view import View

_SAMPLES = 4
_Batch = tuple[Any, Material | None, Any]
"""A vertex array, the textured material that all its faces have, and its texture."""
_TRANSFER = """
vec3 to_linear(vec3 c) { return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), greaterThan(c, vec3(0.04045))); }
vec3 to_srgb(vec3 c) {
    return mix(c * 12.92, 1.055 * pow(max(c, 0.0), vec3(1 / 2.4)) - 0.055, greaterThan(c, vec3(0.0031308)));
}
"""
_VERTEX = """
#version 330 core
uniform mat4 clip_from_world;
in vec3 position; in vec2 uv; in vec3 tint; in float material;
centroid out vec2 at; centroid out vec3 tinted;
out float depth; flat out float number;
void main() {
    gl_Position = clip_from_world * vec4(position, 1);
    depth = gl_Position.w;  // affine over the triangle: at the pixel's center even where that is just outside
    at = uv; tinted = tint; number = material;
}
"""
_FRAGMENT = (
    """
#version 330 core
uniform bool textured, linear;
uniform vec3 factor;
uniform float solid;
uniform sampler2D texels;  // premultiplied
centroid in vec2 at; centroid in vec3 tinted;
in float depth; flat in float number;
layout(location = 0) out vec4 color; layout(location = 1) out vec2 surface;
"""
    + _TRANSFER
    + """
void main() {
    vec3 light = tinted;
    if (textured) {
        vec4 texel = texture(texels, at);
        if (texel.a < solid) discard;
        texel.rgb = min(texel.rgb / texel.a, 1.0);
        light *= linear ? to_linear(texel.rgb) * to_linear(factor) : to_linear(texel.rgb * factor);
    }
    color = vec4(to_srgb(clamp(light, 0.0, 1.0)), 1);
    surface = vec2(depth, number + 1);
}
"""
)
_SCREEN = """
#version 330 core
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4 - 1, 0, 1); }
"""
# What is at the pixel's center, with the coverage of its samples. A mean over their colors would be of no place.
_RESOLVE = f"""
#version 330 core
uniform sampler2D colors, surfaces;
uniform sampler2DMS samples;
layout(location = 0) out vec4 color; layout(location = 1) out vec2 surface;
void main() {{
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    color = texelFetch(colors, pixel, 0);
    surface = texelFetch(surfaces, pixel, 0).xy;
    float covered = 0;
    for (int i = 0; i < {_SAMPLES}; i++) {{
        vec4 found = texelFetch(samples, pixel, i);
        covered += found.a;
        if (color.a == 0) color = found;
    }}
    color.a = covered / {_SAMPLES};
    if (covered == 0) {{ color = vec4(0); surface = vec2(0); }}
    surface = surface.y == 0 ? vec2(uintBitsToFloat(0x7F800000u), -1) : vec2(surface.x, surface.y - 1);
}}
"""


class _Canvas:
    """Where views of one size are drawn: through the pixels' centers, through their samples, from both."""

    def __init__(self, context: Any, size: int) -> None:
        shape = (size, size)
        color, found_color = (context.texture(shape, 4) for _ in range(2))
        surface, found_surface = (context.texture(shape, 2, dtype="f4") for _ in range(2))
        samples = context.texture(shape, 4, samples=_SAMPLES)
        depths = [context.depth_renderbuffer(shape, samples=n) for n in (0, _SAMPLES)]
        self.drawn = (color, surface, samples)
        self.center = context.framebuffer([color, surface], depths[0])
        self.samples = context.framebuffer([samples], depths[1])
        self.image = context.framebuffer([found_color, found_surface])
        self._held = [self.center, self.samples, self.image, *self.drawn, found_color, found_surface, *depths]

    def release(self) -> None:
        for thing in self._held:
            thing.release()


@RENDERERS.register("gl")
class GlRenderer(Renderer):
    """One OpenGL context. Software rendering keeps to the calling thread: whoever wants more starts processes.

    Raises:
        DeviceError: there is no EGL, no OpenGL 3.3, or none with multisampling.
    """

    def __init__(self) -> None:
        try:
            import moderngl
        except ImportError as error:
            raise DeviceError(f"expected moderngl (pip install 'enpointe[data]'), found none: {error}") from error
        self._gl: Any = moderngl
        os.environ.setdefault("LP_NUM_THREADS", "0")  # read by Mesa's software renderer as it starts
        try:
            self._context: Any = moderngl.create_context(standalone=True, backend="egl", require=330)
        except Exception as error:  # moderngl raises bare ones
            raise DeviceError(f"expected EGL with OpenGL 3.3, found {error}") from error
        if self._context.max_samples < _SAMPLES:
            raise DeviceError(f"expected OpenGL with {_SAMPLES} samples a pixel, found {self._context.max_samples}")
        device = self._context.info["GL_RENDERER"]
        self.name = f"gl, {device}"
        self.without_card = any(word in device.lower() for word in ("llvmpipe", "softpipe", "swrast"))
        self._draw = self._context.program(_VERTEX, _FRAGMENT)
        self._draw["solid"].value = SOLID / 255
        self._resolve = self._context.program(_SCREEN, _RESOLVE)
        for location, name in enumerate(("colors", "surfaces", "samples")):
            self._resolve[name].value = location
        self._screen = self._context.vertex_array(self._resolve, [])
        self._canvases: dict[int, _Canvas] = {}

    def render(self, model: Model, cameras: Sequence[Camera]) -> list[View]:
        """See `Renderer.render`."""
        if len(model.triangles) == 0:
            raise InputError("expected a model with triangles, found none")
        with self._uploaded(model) as batches:
            box = model.box()
            return [self._view(camera, batches, box) for camera in cameras]

    def close(self) -> None:
        """Everything of the context goes with it."""
        for canvas in self._canvases.values():
            canvas.release()
        self._context.release()

    @contextmanager
    def _uploaded(self, model: Model) -> Iterator[list[_Batch]]:
        """A vertex array for all faces without texture, and one for each textured material, with its texture."""
        textured = [i for i, one in enumerate(model.materials) if one.texture is not None]
        plain = ~np.isin(model.material, textured)
        groups: list[tuple[NDArray[np.bool_], Material | None]] = [(plain, None)]
        groups += [(model.material == i, model.materials[i]) for i in textured]
        with ExitStack() as held:
            batches = []
            for faces, material in groups:
                if not faces.any():
                    continue
                buffer = self._context.buffer(_vertices(model, np.flatnonzero(faces), material is None).tobytes())
                held.callback(buffer.release)
                content = [(buffer, "3f 2f 3f 1f", "position", "uv", "tint", "material")]
                array = self._context.vertex_array(self._draw, content)
                held.callback(array.release)
                texture = None if material is None else self._texture(material)
                if texture is not None:
                    held.callback(texture.release)
                batches.append((array, material, texture))
            yield batches

    def _texture(self, material: Material) -> Any:
        assert material.texture is not None
        rows, columns = material.texture.shape[:2]
        most = self._context.info["GL_MAX_TEXTURE_SIZE"]
        if max(rows, columns) > most:
            raise InputError(f"expected textures of at most {most} pixels a side, found {columns} x {rows}")
        pixels = material.texture[::-1].copy()  # v upwards
        if (pixels[..., 3] < 255).any():
            pixels[..., :3] = np.rint(pixels[..., :3] * (pixels[..., 3:] / 255))
        texture = self._context.texture((columns, rows), 4, pixels.tobytes())
        kind = self._gl.LINEAR if material.smooth else self._gl.NEAREST
        texture.filter = (kind, kind)
        return texture

    def _view(self, camera: Camera, batches: list[_Batch], box: NDArray[np.float64]) -> View:
        if camera.size not in self._canvases:
            self._canvases[camera.size] = _Canvas(self._context, camera.size)
        canvas = self._canvases[camera.size]
        rows, columns = window = camera.window(box)
        shape = rows.stop - rows.start, columns.stop - columns.start
        part = columns.start, rows.start, shape[1], shape[0]
        self._draw["clip_from_world"].write(_clip_from_world(camera, box).T.astype(np.float32).tobytes())
        self._context.enable_only(self._gl.DEPTH_TEST)
        for target in (canvas.center, canvas.samples):
            target.scissor = part
            target.use()
            target.clear()
            self._draw_all(batches)
        canvas.image.scissor = part
        canvas.image.use()
        self._context.enable_only(self._gl.NOTHING)
        for location, texture in enumerate(canvas.drawn):
            texture.use(location)
        self._screen.render(self._gl.TRIANGLES, vertices=3)
        rgba = np.frombuffer(canvas.image.read(part, 4), np.uint8).reshape(*shape, 4)
        found = np.frombuffer(canvas.image.read(part, 2, attachment=1, dtype="f4"), np.float32).reshape(*shape, 2)
        return View.of_window(camera, window, rgba, found[..., 0], found[..., 1].astype(np.int16))

    def _draw_all(self, batches: list[_Batch]) -> None:
        for array, material, texture in batches:
            self._draw["textured"].value = material is not None
            if material is not None:
                self._draw["linear"].value = material.linear
                self._draw["factor"].value = tuple(material.color.tolist())
                texture.use(0)
            array.render(self._gl.TRIANGLES)


def _vertices(model: Model, faces: NDArray[np.int64], plain: bool) -> NDArray[np.float32]:
    """(3 f, 9) position, uv, tint in linear light and material of the corners; plain faces' tint is their color."""
    out = np.empty((len(faces), 3, 9), np.float32)
    out[..., :3] = model.triangles[faces]
    uv = model.uv[faces]
    out[..., 3:5] = uv - np.floor(uv.min(axis=1, keepdims=True))  # repeats all the same; small numbers are exact
    out[..., 5:8] = model.shade[faces]
    if plain:
        out[..., 5:8] *= np.stack([to_linear(one.color) for one in model.materials])[model.material[faces], None]
    out[..., 8] = model.material[faces, None]
    return out.reshape(-1, 9)


def _clip_from_world(camera: Camera, box: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4, 4). Rows of the framebuffer rise as the camera's y falls, so that what is read starts at the top."""
    _, depth = camera.project(box)
    near, far = max(float(depth.min()) - 0.01, 0.01), max(float(depth.max()), 0.02) + 0.01
    scale = 2 * camera.focal / camera.size
    projection = np.diag([scale, scale, (far + near) / (far - near), 0])
    projection[2, 3], projection[3, 2] = -2 * far * near / (far - near), 1
    return projection @ camera.camera_from_world
