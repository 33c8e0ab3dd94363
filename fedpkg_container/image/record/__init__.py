"""Records of a build: content-generator metadata, import into Koji, attachments and SBOMs."""
