"""Charts of depth over time, built on pyqtgraph's scene, view box and axes."""

import os

# When PyQt6 is installed as well pyqtgraph would silently take that.
os.environ.setdefault("PYQTGRAPH_QT_LIB", "PySide6")
