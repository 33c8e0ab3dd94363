"""From a commit to an image: small steps, and the pipelines that order them.

``arch_build`` makes the image of one arch, ``container_build`` everything around it. Nothing here knows where it
runs: what a step needs is handed to it.
"""
