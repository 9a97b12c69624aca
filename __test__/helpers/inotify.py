"""Watches a folder by inotify(7). Prints `ready`, and when its input ends all events so far, one a line: names and flags."""

import ctypes
import os
import struct
import sys

FLAGS = {
    0x8: "CLOSE_WRITE",
    0x40: "MOVED_FROM",
    0x80: "MOVED_TO",
    0x100: "CREATE",
    0x200: "DELETE",
    0x400: "DELETE_SELF",
    0x800: "MOVE_SELF",
}

libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init1(os.O_NONBLOCK)
if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(sys.argv[1]), sum(FLAGS)) < 0:
    raise OSError(ctypes.get_errno(), "inotify")
print("ready", flush=True)
sys.stdin.read()
while True:
    try:
        events = os.read(fd, 1 << 20)
    except BlockingIOError:
        break
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        name = os.fsdecode(events[16 : 16 + length].rstrip(b"\0"))
        print(name, *(flag for bit, flag in FLAGS.items() if mask & bit))
        events = events[16 + length :]
