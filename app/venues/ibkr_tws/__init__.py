"""Interactive Brokers through TWS or IB Gateway (ib_async), read only."""
