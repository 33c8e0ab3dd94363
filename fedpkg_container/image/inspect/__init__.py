"""What is in an image that was built, read without executing anything of it."""
