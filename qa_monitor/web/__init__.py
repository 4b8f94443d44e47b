"""The pages of the four who use the product, and the same data as JSON.

``create_app`` makes the application of one configuration. A module a family of pages: its pages and
its API routes stand together, because they ask the same and show it twice. ``viewing`` says who
asks and what he may; every route names its permission there, and every answer is in the access log.
"""

from __future__ import annotations

from qa_monitor.web.app import create_app, every_route

__all__ = ["create_app", "every_route"]
