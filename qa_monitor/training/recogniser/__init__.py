"""Trains the embedded recogniser, a small Whisper, on synthetic telephone speech."""
