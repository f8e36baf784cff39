# SPDX-License-Identifier: MIT
"""Imports many packages with many small modules."""

import aiohttp
import hypothesis
import jinja2
import requests
import rich.console
import sqlalchemy.orm

assert all([aiohttp, hypothesis, jinja2, requests, rich, sqlalchemy])
