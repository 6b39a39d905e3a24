"""Know: store, ledger, twin, exchange and compute."""
