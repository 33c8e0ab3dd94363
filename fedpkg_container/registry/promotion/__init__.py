"""Promotion: from the candidate registry to a target, its record, and back.

``promote`` copies (``copying``, ``blobs``) and sets tags (``tagging``), by what ``identity`` and ``record`` know;
``listing`` shows what is in a target; ``unpromote`` takes a build back.
"""
