"""The product's words: frozen dataclasses, enums and errors. Standard library only."""
