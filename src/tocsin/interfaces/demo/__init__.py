"""The demo: a made-up district meets the rain of a real storm, and the whole loop is seen at work."""
