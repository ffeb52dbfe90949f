"""Render video frames at any time."""
