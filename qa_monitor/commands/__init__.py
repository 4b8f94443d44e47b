"""Commands of the command line beside those of ``qa_monitor.cli``, a module each family."""
