# SPDX-License-Identifier: MIT
"""A FUSE mount whose daemon is stuck in a store: it stores the page that the READ is about which it
never answers, so that the kernel waits for a page that the reader has locked.

Imported, it is `StuckMount`; started as a program, it serves the connection in descriptor argv[1].
"""

import contextlib
import os
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lying_mount import GETATTR, INIT, LOOKUP, READY, connect, initial, reply_to  # noqa: E402

FILE_NODE = 2
FILE = 0o100644
PAGE = 4096
OPEN, READ = 14, 15
ASYNC_READ = 1 << 0  # a READ goes on without the process that it was made for
NOTIFY_STORE = 4
STORING = b"storing\n"


class StuckMount:
    """Of `user`, at the directory `path`, with one file, whose name does not matter."""

    def __init__(self, work, path, image, user):
        connection = connect(path, image, user)
        self.process = work.start(["/usr/bin/python3", os.path.abspath(__file__), str(connection)],
                                  pass_fds=[connection])
        os.close(connection)
        assert self.process.stdout.readline() == READY

    def wait_until_storing(self):
        assert self.process.stdout.readline() == STORING

    def is_stuck(self):
        """Whether a thread waits where no signal reaches it, and not just for a moment."""
        first = self._deaf_threads()
        time.sleep(0.2)
        return bool(first & self._deaf_threads())

    def _deaf_threads(self):
        tasks = f"/proc/{self.process.pid}/task"
        found = set()
        for task in os.listdir(tasks):
            with contextlib.suppress(OSError):  # it has ended
                with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
                    if file.read().rpartition(")")[2].split()[0] == "D":
                        found.add(task)
        return found


def file_attributes():
    """fuse_attr of the file."""
    return struct.pack("<6Q10I", FILE_NODE, 16 * PAGE, 0, 0, 0, 0, 0, 0, 0, FILE, 1, 0, 0, 0, PAGE,
                       0)


def store(connection):
    body = struct.pack("<QQII", FILE_NODE, 0, PAGE, 0) + bytes(PAGE)
    os.write(1, STORING)
    os.write(connection, struct.pack("<IiQ", 16 + len(body), NOTIFY_STORE, 0) + body)


def answer_to(opcode, node, connection):
    if opcode == INIT:
        return initial(ASYNC_READ)
    if opcode == LOOKUP:
        return struct.pack("<4QII", FILE_NODE, 0, 1, 1, 0, 0) + file_attributes()
    if opcode == GETATTR and node == FILE_NODE:
        return struct.pack("<QII", 1, 0, 0) + file_attributes()
    if opcode == OPEN:
        return struct.pack("<QII", 1, 0, 0)
    if opcode == READ:
        threading.Thread(target=store, args=(connection,)).start()
        return None
    return reply_to(opcode, None)


def serve(connection):
    while True:
        request = os.read(connection, 1 << 20)
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        reply = answer_to(opcode, node, connection)
        if reply is None:
            continue
        error, body = (-reply, b"") if isinstance(reply, int) else (0, reply)
        os.write(connection, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        if opcode == INIT:
            os.write(1, READY)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
