"""E-mail and phone in one form, and their hashes, so that the same person is found across systems."""

from __future__ import annotations

from pyspark.sql import Column as SparkColumn
from pyspark.sql import functions as F


def normalised_email(email: SparkColumn) -> SparkColumn:
    """Lower case. A blank inside stays, for the rules to refuse: without it the text would be the address of somebody else."""
    return F.lower(email)


def normalised_phone(phone: SparkColumn) -> SparkColumn:
    """Australian numbers as +61 and nine digits; what is not one stays as it came.

    A mobile that a spreadsheet turned into a number has lost its leading zero: 412 345 678 is 0412 345 678.
    """
    digits = F.regexp_replace(phone, r"[^0-9]", "")
    national = (
        F.when(digits.rlike("^0061[2-478][0-9]{8}$"), F.substring(digits, 5, 9))
        .when(digits.rlike("^610?[2-478][0-9]{8}$"), F.right(digits, F.lit(9)))
        .when(digits.rlike("^0[2-478][0-9]{8}$"), F.substring(digits, 2, 9))
        .when(digits.rlike("^[2-478][0-9]{8}$"), digits)
    )
    return F.coalesce(F.concat(F.lit("+61"), national), phone)


def hashed(value: SparkColumn) -> SparkColumn:
    """SHA-256 as hex; null stays null."""
    return F.sha2(value, 256)
