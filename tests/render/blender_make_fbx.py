"""Runs inside Blender: writes an FBX file of a brick with a textured and a plain part. Arguments: -- FILE EMBED."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

path, embed = sys.argv[sys.argv.index("--") + 1 :]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add(size=1, scale=(2, 1, 0.5))
brick = bpy.context.object
for name, color in (("painted", None), ("plain", (0.1, 0.2, 0.8, 1.0))):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    if color is None:
        node = material.node_tree.nodes.new("ShaderNodeTexImage")
        node.image = bpy.data.images.load(str(Path(path).with_name("paint.png")))
        material.node_tree.links.new(node.outputs["Color"], shader.inputs["Base Color"])
    else:
        shader.inputs["Base Color"].default_value = color
    brick.data.materials.append(material)
for polygon in brick.data.polygons:
    polygon.material_index = 1 if polygon.normal.z > 0.5 else 0
bpy.ops.export_scene.fbx(
    filepath=path, path_mode="COPY" if embed == "True" else "RELATIVE", embed_textures=embed == "True"
)
