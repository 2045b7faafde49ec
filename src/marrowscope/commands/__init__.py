"""Thin commands: parse, call the room that does the work, print. No logic lives here."""
