"""Redaction: PHI in a call found, replaced by ``<TYPE_n>``, and told with times to mute.

``Redactor`` is the interface, ``PresidioRedactor`` the default: presidio-analyzer with a registry
of this product's recognizers, a spaCy pipeline trained here, and presidio-anonymizer's operators.
``documents`` redacts texts of every shape; ``operators`` says what stands for a value in them.
"""

from qa_monitor.redaction.redactor import PresidioRedactor, Redactor

__all__ = ["PresidioRedactor", "Redactor"]
