"""Turns frames and answers of the Client Portal Gateway into broker events."""
