"""Textured layers that move and hide each other: scenes known exactly at any time and any size, with their true flow.

`draw_scene` invents a scene from a seed; a `Scene` renders itself and tells its flow; `degrade` does to clean frames
what a camera and a codec do.
"""

from vidode.scenes.degradation import Degradation, degrade
from vidode.scenes.draw import draw_scene
from vidode.scenes.scene import Flow, Scene
from vidode.scenes.style import SceneStyle

__all__ = ["Degradation", "Flow", "Scene", "SceneStyle", "degrade", "draw_scene"]
