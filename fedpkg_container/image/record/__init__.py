"""Records of a build: files, content-generator metadata, import into Koji, attachments and SBOMs."""
