# SPDX-License-Identifier: MIT
"""A terminal of an ordinary user."""

import contextlib
import os
import pty
import re
import select
import signal
import time


class Terminal:
    """A user at a terminal of their own."""

    def __init__(self, words, environment):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.setgroups([])
            os.setgid(1000)
            os.setuid(1000)
            os.chdir("/")
            os.execve(words[0], words, environment)

    def type(self, text):
        os.write(self.fd, text.encode())

    def expect(self, pattern, deadline=20):
        """Waits for `pattern` behind what was matched last; returns the match."""
        end = time.monotonic() + deadline
        while True:
            match = re.search(pattern, self.text)
            if match:
                self.text = self.text[match.end():]
                return match
            assert time.monotonic() < end, f"no {pattern!r} in {self.text!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:
                    assert re.search(pattern, self.text), \
                        f"ended without {pattern!r}: {self.text!r}"

    def interrupt(self, pattern):
        """Ctrl-C; again when it came while the shell was still handing the terminal over."""
        for _ in range(5):
            self.type("\x03")
            with contextlib.suppress(AssertionError):
                return self.expect(pattern, deadline=3)
        raise AssertionError(f"no {pattern!r} in {self.text!r}")

    def wait(self):
        """Reads to the end; the exit status."""
        with contextlib.suppress(OSError):
            while os.read(self.fd, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self):
        os.close(self.fd)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
