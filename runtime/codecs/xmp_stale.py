"""Drops or updates XMP that does not apply to the result, or counts the source's pixels.

Such properties tell other programs to look for a video, a depth map or a gain map behind the
picture, or for the rest of the packet; or where in a panorama the picture lies, in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_GOOGLE = b"http://ns.google.com/photos/"
_ALL = b""
_STALE: dict[bytes, tuple[bytes, ...]] = {
    _GOOGLE + b"1.0/camera/": (b"MotionPhoto", b"MicroVideo"),
    _GOOGLE + b"1.0/container/": (_ALL,),
    _GOOGLE + b"1.0/container/item/": (_ALL,),
    _GOOGLE + b"1.0/depthmap/": (_ALL,),
    _GOOGLE + b"1.0/image/": (_ALL,),
    _GOOGLE + b"1.0/audio/": (_ALL,),
    _GOOGLE + b"dd/1.0/container/": (_ALL,),
    _GOOGLE + b"dd/1.0/item/": (_ALL,),
    _GOOGLE + b"dd/1.0/device/": (_ALL,),
    b"http://ns.oplus.com/photos/1.0/camera/": (b"MotionPhoto", b"OLivePhoto", b"Video"),
    b"http://ns.adobe.com/hdr-gain-map/1.0/": (_ALL,),
    b"http://ns.apple.com/HDRGainMap/1.0/": (_ALL,),
    b"http://ns.apple.com/pixeldatainfo/1.0/": (_ALL,),
    b"http://ns.adobe.com/xmp/note/": (b"HasExtendedXMP",),
    b"http://ns.adobe.com/xap/1.0/": (b"Thumbnails",),
}
"""Prefixes, by namespace, of the names of properties that do not apply to a result."""

_PANORAMA = _GOOGLE + b"1.0/panorama/"
_ACROSS = rb"(?:FullPanoWidth|CroppedAreaImageWidth|CroppedAreaLeft)Pixels"
_ACROSS += rb"|LargestValidInteriorRect(?:Left|Width)"
_DOWN = rb"(?:FullPanoHeight|CroppedAreaImageHeight|CroppedAreaTop)Pixels"
_DOWN += rb"|LargestValidInteriorRect(?:Top|Height)"
_PREFIX = re.compile(rb"xmlns:([A-Za-z_][\w.-]*)\s*=\s*[\"']([^\"']*)[\"']")


def without_stale(packet: bytes) -> tuple[bytes, list[str]]:
    """Remove properties that do not apply to a result, with a note that names them."""
    found: list[bytes] = []
    for prefix, space in dict.fromkeys(_PREFIX.findall(packet)):
        for begin in _STALE.get(space, ()):
            packet, names = _without(packet, prefix, begin)
            found += names
    if not found:
        return packet, []
    titles = [name.decode("utf-8", "replace") for name in dict.fromkeys(found)]
    more = " and more" if len(titles) > 4 else ""
    return packet, [
        f"dropped from XMP, because it no longer applies: {', '.join(titles[:4])}{more}"
    ]


def with_panorama(packet: bytes, factor_xy: tuple[float, float]) -> bytes:
    """Scale a packet's panorama coordinates to the result's pixels."""
    for prefix, space in dict.fromkeys(_PREFIX.findall(packet)):
        if space == _PANORAMA:
            for names, factor in zip((_ACROSS, _DOWN), factor_xy, strict=True):
                packet = _scaled(packet, prefix, names, factor)
    return packet


def _scaled(packet: bytes, prefix: bytes, names: bytes, factor: float) -> bytes:
    def times(match: re.Match[bytes]) -> bytes:
        return match[1] + b"%d" % round(int(match[2]) * factor)

    name = re.escape(prefix) + b":(?:" + names + b")"
    number = rb"(\d{1,9})"
    packet = re.sub(rb"(\b" + name + rb"\s*=\s*[\"'])" + number, times, packet)
    return re.sub(rb"(<" + name + rb"\s*>\s*)" + number, times, packet)


def _without(packet: bytes, prefix: bytes, begin: bytes) -> tuple[bytes, list[bytes]]:
    """Remove the attributes and elements whose names start with `begin`."""
    name = re.escape(prefix + b":" + begin) + rb"[\w.-]*"
    attribute = re.compile(rb"\s+(" + name + rb")\s*=\s*(?:\"[^\"<]*\"|'[^'<]*')")
    names = attribute.findall(packet)
    packet = attribute.sub(b"", packet)
    kept, at = [], 0
    for start, stop, element in _elements(packet, re.compile(rb"<(" + name + rb")(?=[\s/>])")):
        kept.append(packet[at:start])
        names.append(element)
        at = stop
    return b"".join((*kept, packet[at:])), names


def _elements(packet: bytes, opening: re.Pattern[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """Yield the start, end and name of the outermost elements."""
    at = 0
    while match := opening.search(packet, at):
        end = packet.find(b">", match.end())
        if end < 0:
            return
        at = end + 1
        if packet[end - 1 : end] != b"/":
            close = packet.find(b"</" + match[1], at)
            stop = packet.find(b">", close) if close >= 0 else -1
            if stop < 0:
                return  # damaged: left alone
            at = stop + 1
        yield match.start(), at, match[1]
