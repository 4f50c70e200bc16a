"""The local server for secondary screens: HTTP and WebSocket on one port, view-only."""
