"""Tables of many instruments, conditions on them, what is remarkable about them: pure."""
