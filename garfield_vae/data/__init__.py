"""Strips: where they come from, and how they become panels."""
