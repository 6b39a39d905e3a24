"""Health and itinerary codes, private by design: what a phone says, keeps, computes and shows, and what may be published. No disk, no network."""
