# SPDX-License-Identifier: MIT
"""A FUSE mount of another user that calls itself ours and says whatever it is told to.

Imported, it is `LyingMount`; started as a program, it serves the connection in descriptor argv[1]
and answers the ioctl for statistics with argv[2], or never when there is no argv[2].
"""

import ctypes
import os
import struct
import sys

LIAR = 1001
ROOT_NODE = 1
STATISTICS_BYTES = 8192
ENOENT, EINTR, EAGAIN, ENOSYS = 2, 4, 11, 38
READY = b"ready\n"
# <linux/fuse.h>
LOOKUP, FORGET, GETATTR, STATFS, INIT, OPENDIR = 1, 2, 3, 17, 26, 27
RELEASEDIR, INTERRUPT, DESTROY, IOCTL, BATCH_FORGET = 29, 36, 38, 39, 42
HAS_IOCTL_DIR = 1 << 11
DIRECTORY = 0o040755


def connect(path, image, user, more=""):
    """Mounts as `user`, with the options `more`, and returns the connection."""
    libc = ctypes.CDLL(None, use_errno=True)
    connection = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={connection},rootmode=40000,user_id={user},group_id={user}{more}"
    result = libc.mount(os.fsencode(image), os.fsencode(path), b"fuse.squenv",
                        ctypes.c_ulong(1 | 2 | 4), options.encode())  # ro, nosuid, nodev
    if result != 0:
        os.close(connection)
        raise OSError(ctypes.get_errno(), "mount")
    return connection


class LyingMount:
    """`work` is the test's; `path` a directory; `image` what the mount table names."""

    def __init__(self, work, path, image, answer=None, user=LIAR):
        self.path = path
        connection = connect(path, image, user, ",allow_other")
        words = ["/usr/bin/python3", os.path.abspath(__file__), str(connection)]
        self.process = work.start(words + ([answer] if answer is not None else []),
                                  pass_fds=[connection])
        os.close(connection)
        assert self.process.stdout.readline() == READY

    def end(self):
        """Whoever waits for an answer gets an error."""
        self.process.kill()
        self.process.wait()
        ctypes.CDLL(None).umount2(os.fsencode(self.path), 2)  # MNT_DETACH


def attributes():
    """fuse_attr_out of a directory."""
    attr = struct.pack("<6Q10I", ROOT_NODE, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, LIAR, LIAR, 0,
                       4096, 0)
    return struct.pack("<QII", 1, 0, 0) + attr


def initial(flags):
    """fuse_init_out."""
    return struct.pack("<4I2HII2H8I", 7, 31, 65536, flags, 12, 9, 65536, 1, 0, 0, *[0] * 8)


def reply_to(opcode, text):
    """An errno, or the bytes of the answer; None is no answer."""
    if opcode == INIT:
        return initial(HAS_IOCTL_DIR)
    if opcode == GETATTR:
        return attributes()
    if opcode == OPENDIR:
        return struct.pack("<QII", 1, 0, 0)
    if opcode == STATFS:
        return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
    if opcode == IOCTL:
        if text is None:
            return None
        return struct.pack("<iIII", 0, 0, 0, 0) + text.encode().ljust(STATISTICS_BYTES, b"\0")
    if opcode == RELEASEDIR:
        return b""
    if opcode in (FORGET, BATCH_FORGET, INTERRUPT, DESTROY):
        return None
    return ENOENT if opcode == LOOKUP else ENOSYS


def serve(connection, text):
    while True:
        try:
            request = os.read(connection, 1 << 20)
        except OSError as error:
            if error.errno in (ENOENT, EINTR, EAGAIN):  # a request that was given up
                continue
            return  # unmounted
        _, opcode, unique = struct.unpack_from("<IIQ", request)
        reply = reply_to(opcode, text)
        if reply is None:
            continue
        error, body = (-reply, b"") if isinstance(reply, int) else (0, reply)
        try:
            os.write(connection, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        except OSError:  # whoever asked is gone
            continue
        if opcode == INIT:
            os.write(1, READY)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
