"""Who, may, sign, prove: every interface and every ledger write passes here."""
