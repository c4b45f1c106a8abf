"""Whether a file holds fewer samples than its header tells of: libsndfile then gives what is there, and only
notes in its log what it found (the log of libsndfile 1.2; where it says nothing, nothing is known)."""

import re
from pathlib import Path

_UNKNOWN = 0x7FFF0000  # a size this large in a header means "unknown", as pipes write it
_SIZES = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
_RF64_FRAMES = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
_DATA = re.compile(r"^data : (\d+)", re.MULTILINE)
_BLOCK = re.compile(r"Block Align +: (\d+)")
_CAF_FRAMES = re.compile(r"Valid frames +: (\d+)")
_CAF_PACKET = re.compile(r"Bytes / packet +: (\d+)")
_NIST_COUNT = re.compile(rb"sample_count -i (\d+)")
_ENDS_EARLY = (
    "Seems to be a truncated file",  # VOC
    "without an End-Of-Stream flag",  # Ogg
    "Junk after the last page",  # Ogg that ends within a page
)


def why_cut_short(path: Path | str, format_name: str, frames: int, log: str) -> str:
    """What is missing, such as "31978 of 64000 bytes of samples"; "" for a file that is whole."""
    for found, told in _SIZES.findall(log):
        if int(told) < int(found) < _UNKNOWN:
            return f"{told} of {found} bytes of samples"
    if any(note in log for note in _ENDS_EARLY):
        return "it breaks off before its end is marked"
    expected = _frames_told(path, format_name, log)
    return f"{frames} of {expected} samples" if frames < expected < _UNKNOWN * 2**16 else ""


def _frames_told(path: Path | str, format_name: str, log: str) -> int:
    """Samples a channel that the header tells of; 0 where it is not known."""
    if format_name == "RF64" and (match := _RF64_FRAMES.search(log)):
        return int(match[2])
    if format_name == "W64" and (match := _DATA.search(log)) and (block := _BLOCK.search(log)):
        return (int(match[1]) - 24) // int(block[1])  # its sizes count their own head
    if format_name == "CAF":
        return _frames_of_caf(log)
    if format_name == "NIST":
        with open(path, "rb") as file:
            count = _NIST_COUNT.search(file.read(1024))
        return int(count[1]) if count else 0
    return 0


def _frames_of_caf(log: str) -> int:
    if match := _CAF_FRAMES.search(log):
        return int(match[1])
    data, packet = _DATA.search(log), _CAF_PACKET.search(log)
    if data is None or packet is None or int(packet[1]) == 0:
        return 0
    return (int(data[1]) - 4) // int(packet[1])
