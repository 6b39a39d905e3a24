"""One folder is all that we know of one hazard. Nothing imports a pack by name."""
