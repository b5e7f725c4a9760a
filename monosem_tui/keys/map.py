"""Keys of Map: the crosshair, what is in sight, colours, what is lit."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where

_dots, _box, _map = KeyGroup(Where.DOTS, "dots"), KeyGroup(Where.BOX, "box"), KeyGroup(Where.MAP, "map")
_cluster = KeyGroup(Where.DOTS, "dots", Need.NAMED_CLUSTERS)
DOTS = (
    _dots("open", "open", "enter", "open the feature in Browse", "open in Browse", "⏎ open", Need.FEATURES),
    _dots("near", "near(1)", "n", "next nearest feature", "next nearest", "n/N nearest", Need.FEATURES),
    _dots("nearer", "near(-1)", "N", "the nearer one before", need=Need.FEATURES),
    _dots("filter", "filter", "/", "light up what passes a filter", "light up a filter", "/ filter"),
    _dots("box", "box", "v", "draw a box: what is in it becomes a filter", "select a box", "v box"),
    _cluster("grow", "grow", "x", "light up the cluster, and again the coarser one", "its cluster", "x cluster"),
    _cluster("cluster", "cluster(1)", "}", "next named cluster", "named clusters"),
    _cluster("cluster-before", "cluster(-1)", "{", "named cluster before"),
    _dots("all", "all", "a", "list what is lit in Browse", "lit ones in Browse", "a all", Need.LIT),
    _dots("clamp", "clamp", "c", "put the feature into Live's tray", "clamp it", need=Need.FEATURES),
    _dots("go", "make", "ctrl+g", "lay out a map, or stop", "lay out a map", "ctrl+g map"),
    _dots("export", "export_map", "e", "write the map as SVG", "map as SVG"),
)
BOX = (_box("keep", "keep_box", "enter v", "light up what is in the box", "light these up", "⏎ light up"),)
MAP = (
    _map("left", "move(0, -1)", "h left", "crosshair to the left", "crosshair", "hjkl move"),
    _map("down", "move(1, 0)", "j down", "crosshair down"),
    _map("up", "move(-1, 0)", "k up", "crosshair up"),
    _map("right", "move(0, 1)", "l right", "crosshair to the right"),
    _map("far-left", "move(0, -10)", "H", "ten cells to the left", "far"),
    _map("far-down", "move(5, 0)", "J", "five rows down"),
    _map("far-up", "move(-5, 0)", "K", "five rows up"),
    _map("far-right", "move(0, 10)", "L", "ten cells to the right"),
    _map("in", "zoom_map(1)", "+ =", "zoom in around the crosshair", "zoom in, out", "+/- zoom"),
    _map("out", "zoom_map(-1)", "-", "zoom out"),
    _map("whole", "all_map", "0", "show all of it", "all of it"),
    _map("page-down", "pan(0.5, 0)", "ctrl+d pagedown", "half a picture down", "half a picture"),
    _map("page-up", "pan(-0.5, 0)", "ctrl+u pageup", "half a picture up"),
    _map("page-right", "pan(0, 0.5)", "ctrl+f", "half a picture to the right"),
    _map("page-left", "pan(0, -0.5)", "ctrl+b", "half a picture to the left"),
    _map("other", "other(1)", "o", "the next map, or density and maximum", "other map", "o map"),
    _map("other-before", "other(-1)", "O", "the map before"),
    _map("colour", "colour_map(1)", "m", "colour by something else", "other colours", "m colours"),
    _map("colour-before", "colour_map(-1)", "M", "the colours before"),
    _map("zoom", "zoom", "z", "the picture on the whole screen", "whole screen", "z zoom"),
)
