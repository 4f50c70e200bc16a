"""Asynchronous glue and the pipeline from feed input to samples."""
