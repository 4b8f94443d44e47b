"""``python -m qa_monitor``: the same as the ``qa-monitor`` command."""

from qa_monitor.cli import main

if __name__ == "__main__":
    main()
