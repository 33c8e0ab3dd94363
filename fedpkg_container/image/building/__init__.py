"""The build itself: what buildah is given, its log, and the limits that it is watched for."""
