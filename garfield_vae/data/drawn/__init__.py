"""Strips drawn by the computer, with known factors and without a network.

pen.py      flat colours under thick ink, at a few milliseconds a strip
cast.py     a cat, a dog and a man; their poses and expressions
scene.py    places, balloons and the page: a strip from its factors
story.py    the stories, and the factors of a day
folder.py   a folder of them, laid out as downloaded strips are
"""

from garfield_vae.data.drawn.folder import FIRST_DAY, dailies, draw_folder, draw_strip
from garfield_vae.data.drawn.scene import draw_factors
from garfield_vae.data.drawn.story import imagine

__all__ = ["FIRST_DAY", "dailies", "draw_factors", "draw_folder", "draw_strip", "imagine"]
