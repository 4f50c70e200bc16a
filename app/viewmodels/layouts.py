"""The layout words screens need, handed up from the store."""

from __future__ import annotations

from app.storage.layouts import JsonObject, LayoutDocument, LayoutRecord, LayoutStore, PanelRecord

__all__ = ["JsonObject", "LayoutDocument", "LayoutRecord", "LayoutStore", "PanelRecord"]
