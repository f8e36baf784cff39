# SPDX-License-Identifier: MIT
"""docutils makes a page of a text."""

import docutils.core

PARTS = [f"Part {number}\n--------\n\nSome *text*:\n\n- ``one``\n- two\n" for number in range(20)]
assert b"</html>" in docutils.core.publish_string("\n".join(PARTS), writer_name="html")
