"""What Koji keeps of a build: content-generator metadata, attachments and SBOMs."""
