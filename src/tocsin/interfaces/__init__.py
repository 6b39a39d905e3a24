"""Every way in or out, and no logic."""
