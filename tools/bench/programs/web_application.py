# SPDX-License-Identifier: MIT
"""An application of Flask answers a request."""

import flask

application = flask.Flask("application")
application.add_url_rule("/", view_func=lambda: "text")
assert application.test_client().get("/").data == b"text"
