"""The blobs of a registry as a tree of files that any web server, rsync or MirrorManager can serve.

What is served lies below ``v2/`` (and ``archives/``), and is nothing but whole blobs that their digests fit; what this
program remembers lies in ``.mirror/``, which is not to be served. ``run.mirror`` says what is done in which order.
"""
