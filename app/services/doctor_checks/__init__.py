"""What the connection doctor looks at, a module for each kind of service."""
