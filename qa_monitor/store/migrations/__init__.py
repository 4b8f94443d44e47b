"""Alembic migrations, run when the database is opened.

A change of the tables is a new file in ``versions``, never an edit of one, and raises
``HEAD_REVISION`` in ``qa_monitor.store.tables``; a test holds the two and the tables together.
"""
