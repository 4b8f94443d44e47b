"""Alembic migrations; a change of the tables is a new file in ``versions``, never an edit."""
