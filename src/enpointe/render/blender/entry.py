"""Runs inside Blender: renders and imports what standard input says.

Started either by `blender --background --python entry.py -- THREADS` or by a Python that has Blender's
`bpy` wheel, `python entry.py -- THREADS`. It imports the standard library and bpy only, nothing of
enpointe, from Python 3.10 (Blender 3.4) on; `blender_process.BlenderProcess` talks to it.

Jobs are JSON objects, one a line; so are the answers, each behind `MARK`. The first answer says the version and
the suffixes that can be imported. A job's answers repeat its number and end with one that holds "done" or "error".
Arrays travel in files, little-endian: 32-bit floats and integers.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
from bpy_extras import image_utils
from mathutils import Matrix

MARK = "enpointe:"
Answer = Callable[..., None]
_SENSOR = 36.0
_SKIES = (0.55, 0.55, 0.55, 1.0)
_SUN_STRENGTH = 2.2
_SUN_DIRECTION = ((0.77, 0.32, -0.55), (0.0, 0.86, 0.51), (0.64, -0.39, 0.66))
"""Rows of the turn that puts the sun to the upper right of a camera that looks along -z."""
_KINDS = ("objects", "meshes", "cameras", "lights", "worlds", "materials", "images")


def main() -> None:
    """Do jobs until standard input ends."""
    # Blender prints to descriptor 1 whatever it likes; the answers keep a copy of it for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    threads = int(sys.argv[sys.argv.index("--") + 1])

    def answer(**fields: Any) -> None:
        answers.write(MARK + json.dumps(fields) + "\n")
        answers.flush()

    _reset()
    answer(version=list(bpy.app.version), name=bpy.app.version_string, reads=sorted(_importers()))
    for line in sys.stdin:
        job = json.loads(line)
        os.ftruncate(2, 0)  # the log of one job is enough
        if hasattr(signal, "alarm"):
            signal.alarm(job["seconds"])  # kills this process even if Blender hangs and its parent is gone
        try:
            if job["do"] == "render":
                _render(job, threads, answer)
            else:
                _read(job, answer)
        except Exception as error:  # noqa: BLE001 - the next job is another asset's
            answer(job=job["job"], error=f"{type(error).__name__}: {error}"[:500])
        if hasattr(signal, "alarm"):
            signal.alarm(0)
    os._exit(0)  # Blender's own farewell has nothing left to save, and crashes now and then


def _reset() -> None:
    """An empty scene, nothing of the user's, no scripts from files."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.use_scripts_auto_execute = False


# ---- Rendering


def _render(job: dict[str, Any], threads: int, answer: Answer) -> None:
    """Images of a model by all its cameras: flat ones through the pixels' centers, then those of many samples."""
    started = time.perf_counter()
    for kind in _KINDS:
        bpy.data.batch_remove(list(getattr(bpy.data, kind)))
    scene = bpy.context.scene
    _set_up(scene, threads)
    materials = [_Surface(given, job) for given in job["materials"]]
    _build_mesh(scene, job, [one.material for one in materials])
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    spent = 0.0
    for part in job["parts"]:
        sun = None
        _set_part(scene, part)
        if part["lit"]:
            for dress in materials:
                dress.light()
            sun = _light(scene)
        for number, taken in enumerate(job["cameras"]):
            _place(scene, camera, sun, taken)
            path = str(Path(job["folder"]) / f"{part['name']}{number}.exr")
            scene.render.filepath = path
            before = time.perf_counter()
            bpy.ops.render.render(write_still=True)
            spent += time.perf_counter() - before
            answer(job=job["job"], part=part["name"], view=number, path=path)
    answer(job=job["job"], done=True, rendering=spent, seconds=time.perf_counter() - started)


def _set_up(scene: Any, threads: int) -> None:
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.use_persistent_data = True  # the geometry stays between the images of an asset
    render.film_transparent = True
    render.use_compositing = render.use_sequencer = render.use_file_extension = False
    render.resolution_percentage = 100
    render.threads_mode, render.threads = ("FIXED", threads) if threads else ("AUTO", render.threads)
    settings = render.image_settings
    if hasattr(settings, "media_type"):  # Blender 5
        settings.media_type = "MULTI_LAYER_IMAGE"
        settings.use_exr_interleave = True  # one part, as before
    settings.file_format, settings.exr_codec, settings.color_depth = "OPEN_EXR_MULTILAYER", "NONE", "32"
    cycles.device = "CPU"
    cycles.use_denoising = cycles.use_adaptive_sampling = cycles.use_auto_tile = False
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 1.0
    cycles.transparent_max_bounces = 256
    cycles.seed = 0


def _set_part(scene: Any, part: dict[str, Any]) -> None:
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_material_index = part["surface"]
    scene.cycles.samples = part["samples"]
    scene.cycles.max_bounces = scene.cycles.diffuse_bounces = 1 if part["lit"] else 0


def _place(scene: Any, camera: Any, sun: Any, taken: dict[str, Any]) -> None:
    scene.render.resolution_x = scene.render.resolution_y = taken["size"]
    camera.matrix_world = Matrix(taken["matrix"])
    camera.data.sensor_fit, camera.data.sensor_width = "HORIZONTAL", _SENSOR
    camera.data.lens = taken["focal"] / taken["size"] * _SENSOR
    camera.data.clip_start, camera.data.clip_end = 1e-3, 1e3
    if sun is not None:
        sun.matrix_world = camera.matrix_world @ Matrix(_SUN_DIRECTION).to_4x4()


def _light(scene: Any) -> Any:
    """A bright sky and a sun."""
    scene.world = world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = _SKIES
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy = _SUN_STRENGTH
    scene.collection.objects.link(sun)
    return sun


def _build_mesh(scene: Any, job: dict[str, Any], materials: list[Any]) -> None:
    n = job["faces"]
    with Path(job["arrays"]).open("rb") as file:
        positions, uv, material = _floats(file, 9 * n), _floats(file, 6 * n), _integers(file, n)
        shade = _floats(file, 12 * n) if job["shaded"] else None
    mesh = bpy.data.meshes.new("model")
    mesh.vertices.add(3 * n)
    mesh.vertices.foreach_set("co", positions)
    mesh.loops.add(3 * n)
    mesh.loops.foreach_set("vertex_index", array("i", range(3 * n)))
    mesh.polygons.add(n)
    mesh.polygons.foreach_set("loop_start", array("i", range(0, 3 * n, 3)))
    if bpy.app.version < (3, 6):  # later it follows from the starts
        mesh.polygons.foreach_set("loop_total", array("i", [3]) * n)
    for one in materials:
        mesh.materials.append(one)
    mesh.polygons.foreach_set("material_index", material)
    mesh.uv_layers.new(name="uv").data.foreach_set("uv", uv)
    if shade is not None:
        mesh.color_attributes.new("shade", "FLOAT_COLOR", "CORNER").data.foreach_set("color", shade)
    mesh.update(calc_edges=True)
    scene.collection.objects.link(bpy.data.objects.new("model", mesh))


class _Surface:
    """A material that glows in its own color, or reflects light instead."""

    def __init__(self, given: dict[str, Any], job: dict[str, Any]) -> None:
        self.material = bpy.data.materials.new("material")
        self.material.use_nodes = True
        self.material.pass_index = given["number"]
        if hasattr(self.material.cycles, "emission_sampling"):  # it lights nothing else
            self.material.cycles.emission_sampling = "NONE"
        elif hasattr(self.material.cycles, "sample_as_light"):
            self.material.cycles.sample_as_light = False
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.emission = self.tree.nodes.new("ShaderNodeEmission")
        self.diffuse = self.tree.nodes.new("ShaderNodeBsdfDiffuse")
        output = self.tree.nodes.new("ShaderNodeOutputMaterial")
        self.target = output.inputs["Surface"]
        color, coverage = self._color(given, job)
        for shader in (self.emission, self.diffuse):
            self.tree.links.new(color, shader.inputs["Color"])
        if coverage is not None:
            self.target = self._cut(coverage, job["solid"], self.target)
        self.tree.links.new(self.emission.outputs[0], self.target)

    def light(self) -> None:
        """From now on it reflects light."""
        self.tree.links.new(self.diffuse.outputs[0], self.target)

    def _color(self, given: dict[str, Any], job: dict[str, Any]) -> tuple[Any, Any]:
        """Sockets of the color and, where the texture cuts parts away, of its coverage."""
        factor = self.tree.nodes.new("ShaderNodeRGB").outputs[0]
        factor.default_value = (*given["color"], 1.0)
        color, coverage = factor, None
        if given["texture"] is not None:
            node = self.tree.nodes.new("ShaderNodeTexImage")
            node.image = bpy.data.images.load(given["texture"])
            node.interpolation = "Linear" if given["smooth"] else "Closest"
            color = self._product(node.outputs["Color"], factor)
            coverage = node.outputs["Alpha"] if given["cut"] else None
        if job["shaded"]:
            shade = self.tree.nodes.new("ShaderNodeVertexColor")
            shade.layer_name = "shade"
            color = self._product(color, shade.outputs["Color"])
        return color, coverage

    def _product(self, first: Any, second: Any) -> Any:
        node = self.tree.nodes.new("ShaderNodeVectorMath")
        node.operation = "MULTIPLY"
        self.tree.links.new(first, node.inputs[0])
        self.tree.links.new(second, node.inputs[1])
        return node.outputs[0]

    def _cut(self, coverage: Any, solid: float, target: Any) -> Any:
        """Nothing is where the coverage is below `solid`; returns the socket for the shader of the rest."""
        there = self.tree.nodes.new("ShaderNodeMath")
        there.operation = "GREATER_THAN"
        there.inputs[1].default_value = solid
        mix = self.tree.nodes.new("ShaderNodeMixShader")
        nothing = self.tree.nodes.new("ShaderNodeBsdfTransparent")
        self.tree.links.new(coverage, there.inputs[0])
        self.tree.links.new(there.outputs[0], mix.inputs[0])
        self.tree.links.new(nothing.outputs[0], mix.inputs[1])
        self.tree.links.new(mix.outputs[0], target)
        return mix.inputs[2]


# ---- Importing


def _importers() -> dict[str, Callable[[str], Any]]:
    """By suffix, what this Blender can import; the one for COLLADA left it with version 5."""
    known: dict[str, Callable[[str], Any]] = {}
    if "fbx" in dir(bpy.ops.import_scene):
        known[".fbx"] = lambda path: bpy.ops.import_scene.fbx(filepath=path, use_anim=False, use_image_search=False)
    if "collada_import" in dir(bpy.ops.wm):
        known[".dae"] = lambda path: bpy.ops.wm.collada_import(filepath=path)
    return known


def _read(job: dict[str, Any], answer: Answer) -> None:
    """The triangles of a file, as parts with a matrix each, and what their materials are."""
    _reset()
    image_utils.load_image = _named_only
    _importers()[Path(job["path"]).suffix](job["path"])
    numbers: dict[str, int] = {}
    materials: list[dict[str, Any]] = []
    parts, left = [], job["faces"]
    with Path(job["arrays"]).open("wb") as file:
        for instance in bpy.context.evaluated_depsgraph_get().object_instances:
            if instance.object.type != "MESH":
                continue
            mesh = instance.object.to_mesh()
            mesh.calc_loop_triangles()
            left -= len(mesh.loop_triangles)
            if left < 0:
                raise ValueError(f"expected at most {job['faces']} triangles, found more")
            part = _write_part(mesh, file)
            part["matrix"] = [list(row) for row in instance.matrix_world]
            part["materials"] = []
            for material in mesh.materials:
                name = "" if material is None else material.name
                if name not in numbers:
                    numbers[name] = len(materials)
                    materials.append(_described(material, job["folder"], len(materials)))
                part["materials"].append(numbers[name])
            parts.append(part)
            instance.object.to_mesh_clear()
    answer(job=job["job"], done=True, parts=parts, materials=materials)
    _reset()


def _named_only(imagepath: str, dirname: str = "", **_: Any) -> Any:
    """In place of Blender's own loader: an image that remembers its file and does not read it."""
    image = bpy.data.images.new("image", 1, 1)
    image["file"] = os.path.relpath(imagepath, dirname) if imagepath.startswith(dirname) else imagepath
    return image


def _write_part(mesh: Any, file: Any) -> dict[str, Any]:
    vertices, loops, triangles = len(mesh.vertices), len(mesh.loops), len(mesh.loop_triangles)
    _get(mesh.vertices, "co", "f", 3 * vertices).tofile(file)
    for attribute, count in (("vertices", 3), ("loops", 3), ("material_index", 1)):
        _get(mesh.loop_triangles, attribute, "i", count * triangles).tofile(file)
    layer = mesh.uv_layers.active
    if layer is not None:
        _get(layer.data, "uv", "f", 2 * loops).tofile(file)
    colors = mesh.color_attributes.active_color
    domain = {"POINT": "vertices", "CORNER": "loops"}.get("" if colors is None else colors.domain)
    if domain is not None:
        _get(colors.data, "color", "f", 4 * len(colors.data)).tofile(file)
    return {
        "vertices": vertices, "loops": loops, "triangles": triangles,
        "uv": layer is not None, "colors": domain,
    }  # fmt: skip


def _described(material: Any, folder: str, number: int) -> dict[str, Any]:
    """A material's color in linear light, its image's name in the file or packed bytes, whether that cuts."""
    nodes = [] if material is None or material.node_tree is None else material.node_tree.nodes
    shader = next((node for node in nodes if node.type == "BSDF_PRINCIPLED"), None)
    if shader is None:
        color = (0.8, 0.8, 0.8) if material is None else material.diffuse_color[:3]
        return {"color": list(color), "image": None, "packed": None, "cuts": False}
    base, alpha = shader.inputs["Base Color"], shader.inputs["Alpha"]
    image = _image(base)
    if image is None:
        return {"color": list(base.default_value)[:3], "image": None, "packed": None, "cuts": False}
    packed = None
    if image.packed_file is not None:
        packed = str(Path(folder) / f"packed{number}")
        Path(packed).write_bytes(image.packed_file.data)
    name = image.get("file") or image.filepath_raw.removeprefix("//") or image.name
    return {"color": [1.0, 1.0, 1.0], "image": name, "packed": packed, "cuts": _image(alpha) == image}


def _image(socket: Any) -> Any:
    """The first image on the way to a socket."""
    seen, waiting = set(), [socket]
    while waiting:
        for link in waiting.pop().links:
            node = link.from_node
            if node.type == "TEX_IMAGE" and node.image is not None:
                return node.image
            if node.name not in seen:
                seen.add(node.name)
                waiting.extend(node.inputs)
    return None


def _get(collection: Any, attribute: str, kind: str, count: int) -> array[Any]:
    values = array(kind, bytes(4 * count))
    collection.foreach_get(attribute, values)
    return values


def _floats(file: Any, count: int) -> array[float]:
    values = array("f")
    values.fromfile(file, count)
    return values


def _integers(file: Any, count: int) -> array[int]:
    values = array("i")
    values.fromfile(file, count)
    return values


if __name__ == "__main__":
    main()
