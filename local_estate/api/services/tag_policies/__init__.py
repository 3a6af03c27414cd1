"""Governed tags of the account and who may use them."""
