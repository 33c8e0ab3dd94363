"""What is on disk: the checkout, the Dockerfile, and the rules over them. No hub and no registry is asked."""
