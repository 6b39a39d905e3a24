"""Act: what an emergency would cost, what each plan would change, and who does what."""
