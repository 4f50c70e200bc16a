"""Interactive Brokers through the Client Portal Gateway (REST and WebSocket), read only."""
