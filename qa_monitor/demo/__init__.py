"""A database of several hundred invented calls, to see the product with and to try it on.

``write_demo_data`` fills a data folder without any model, in seconds. Every call is marked: its
source is ``demo`` and its warnings hold ``demo_data``.
"""

from __future__ import annotations

from qa_monitor.demo.records import DEMO_SOURCE, DEMO_WARNING
from qa_monitor.demo.writing import DemoData, write_demo_data

__all__ = ["DEMO_SOURCE", "DEMO_WARNING", "DemoData", "write_demo_data"]
