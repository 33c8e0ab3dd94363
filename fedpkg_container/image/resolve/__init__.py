"""Before anything is built: source, parents, names, repositories and checks, and the plan made of them."""
