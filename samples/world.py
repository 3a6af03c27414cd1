"""The made-up customers, addresses, services, cases and contacts, and how they change from day to day."""

from __future__ import annotations

import csv
import random
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib import resources
from typing import NamedTuple

from samples.delivery import FIRST_DAY
from samples.people import FAMILY, GIVEN, STREET_TYPES, STREETS


class Place(NamedTuple):
    suburb: str
    state: str
    postcode: str
    gcc_cd: str


def places() -> list[Place]:
    """Suburbs with the state and postcode they really have, from a table made by hand."""
    text = (resources.files("samples") / "places.csv").read_text(encoding="utf-8")
    return [Place(**row) for row in csv.DictReader(text.splitlines())]


# More people live where more places are listed; the Territory is listed often enough that its lost zeros are seen.
STREET_NUMBERS = 240


@dataclass(kw_only=True)
class Address:
    address_id: str
    line_1: str
    line_2: str
    place: Place
    mesh_block: str


@dataclass(kw_only=True)
class Customer:
    customer_id: str
    given: str
    family: str
    email: str
    phone: str  # nine national digits
    address_id: str
    contact_id: str
    updated: datetime


@dataclass(kw_only=True)
class Service:
    service_id: str
    account_id: str
    service_type: str
    plan: str
    status: str
    start: date
    updated: datetime


@dataclass(kw_only=True)
class Case:
    case_id: str
    case_type: str
    status: str
    customer_id: str
    service_id: str | None
    channel: str
    created: datetime
    resolved: datetime | None
    sla_due: datetime
    minutes: int | None
    reopened: int
    updated: datetime


@dataclass(kw_only=True)
class World:
    """Everything that exists, by system. Ids are numbers in order, so a larger world contains no other people than a smaller one's ids."""

    random: random.Random
    places: list[Place] = field(default_factory=places)
    addresses: list[Address] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)

    def moment(self, day: datetime) -> datetime:
        """A second of that day's business hours."""
        return day + timedelta(seconds=self.random.randrange(6 * 3600, 20 * 3600))

    def new_address(self) -> Address:
        pick = self.random
        address = Address(
            address_id=f"AD{len(self.addresses) + 1:08d}",
            line_1=f"{pick.randrange(1, STREET_NUMBERS)} {pick.choice(STREETS)} {pick.choice(STREET_TYPES)}",
            line_2=f"Unit {pick.randrange(1, 60)}" if pick.random() < 0.25 else "",
            place=pick.choice(self.places),
            mesh_block=f"{pick.randrange(1, 9)}{pick.randrange(10**9):010d}",
        )
        self.addresses.append(address)
        return address

    def new_customer(self, updated: datetime) -> Customer:
        pick = self.random
        number = len(self.customers) + 1
        given, family = pick.choice(GIVEN), pick.choice(FAMILY)
        customer = Customer(
            customer_id=f"CU{number:08d}",
            given=given,
            family=family,
            email=f"{_ascii(given)}.{_ascii(family)}{number}@{pick.choice(MAIL_HOSTS)}",
            phone=f"{pick.choice('4444478')}{pick.randrange(10**8):08d}" if pick.random() < 0.9 else f"2{pick.randrange(10**8):08d}",
            address_id=pick.choice(self.addresses).address_id,
            contact_id=f"003MT{number:010d}",
            updated=updated,
        )
        self.customers.append(customer)
        return customer

    def new_service(self, updated: datetime) -> Service:
        pick = self.random
        service_type = pick.choice(("MOBILE", "MOBILE", "NBN", "FIXED_VOICE", "PREPAID"))
        service = Service(
            service_id=f"SV{len(self.services) + 1:08d}",
            account_id=pick.choice(self.customers).customer_id,
            service_type=service_type,
            plan=f"{service_type[:3]}-{pick.choice((25, 50, 75, 100, 250))}",
            status=pick.choice(("ACTIVE",) * 8 + ("PENDING", "SUSPENDED", "CANCELLED")),
            start=(FIRST_DAY - timedelta(days=pick.randrange(1, 3000))).date(),
            updated=updated,
        )
        self.services.append(service)
        return service

    def new_case(self, updated: datetime) -> Case:
        pick = self.random
        created = updated - timedelta(minutes=pick.randrange(30, 12000))
        status = pick.choice(("OPEN", "IN_PROGRESS", "RESOLVED", "RESOLVED", "CLOSED"))
        done = status in ("RESOLVED", "CLOSED")
        service = pick.choice(self.services) if pick.random() < 0.7 else None
        case = Case(
            case_id=f"C-{len(self.cases) + 1:08d}",
            case_type=pick.choice(("BILLING", "FAULT", "COMPLAINT", "ORDER", "MOVE", "GENERAL")),
            status=status,
            customer_id=service.account_id if service else pick.choice(self.customers).customer_id,
            service_id=service.service_id if service else None,
            channel=pick.choice(("PHONE", "CHAT", "SHOP", "APP")),
            created=created,
            resolved=updated if done else None,
            sla_due=created + timedelta(hours=pick.choice((24, 48, 120))),
            minutes=pick.randrange(3, 180) if done else None,
            reopened=pick.choice((0,) * 9 + (1, 2)),
            updated=updated,
        )
        self.cases.append(case)
        return case


MAIL_HOSTS = ("example.com", "example.org", "example.net", "mail.example.com")


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(mark for mark in plain.lower() if mark.isalnum())
