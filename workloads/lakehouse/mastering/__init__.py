"""Mastering: which records are one customer, and which of their values the customer gets."""
