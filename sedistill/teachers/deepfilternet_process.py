"""DeepFilterNet's library in a process of its own, which answers every clip from one and the same state.

To make a state takes a second, the library cannot set one back, and what a state heard before is in its
output for seconds (-15 to -40 dB on speech, half a second or more later): outputs would depend on the
order of clips. So the process makes a state once and forks for every clip; the child's copy hears it and is
gone.
Imports neither torch nor numpy, so that forking takes a millisecond.
"""

import ctypes
import os
import struct
import sys
from typing import BinaryIO

COUNT = struct.Struct("<q")
"""Before each clip how many samples follow, float32 and whole frames; first of all, the length of a frame."""


def serve(library_path: str, archive: str, limit_db: str) -> None:
    """Answer the clips of standard input on standard output until that ends."""
    library = declared(ctypes.CDLL(library_path))
    state = library.df_create(os.fsencode(archive), float(limit_db), None)
    if not state:
        return
    library.df_set_atten_lim(state, float(limit_db))
    frame = int(library.df_get_frame_length(state))
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(COUNT.pack(frame))
    answers.flush()
    while header := given.read(COUNT.size):
        heard = bytearray(given.read(4 * COUNT.unpack(header)[0]))
        if (child := os.fork()) == 0:
            _answer(library, state, frame, heard, answers)
        if os.waitpid(child, 0)[1]:
            return


def _answer(library: ctypes.CDLL, state: int, frame: int, heard: bytearray, answers: BinaryIO) -> None:
    try:
        output = bytearray(len(heard))
        source, sink = (ctypes.addressof(ctypes.c_char.from_buffer(one)) for one in (heard, output))
        for start in range(0, len(heard), 4 * frame):
            library.df_process_frame(state, source + start, sink + start)
        answers.write(output)
        answers.flush()
        os._exit(0)
    finally:
        os._exit(1)


def declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """With the types of its functions."""
    pointer = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_create.restype = pointer
    library.df_get_frame_length.argtypes, library.df_get_frame_length.restype = [pointer], ctypes.c_size_t
    library.df_set_atten_lim.argtypes, library.df_set_atten_lim.restype = [pointer, ctypes.c_float], None
    library.df_process_frame.argtypes = [pointer, pointer, pointer]
    library.df_process_frame.restype = ctypes.c_float
    return library
