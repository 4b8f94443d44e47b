"""qa_monitor listens to every call of a health-care call centre."""
