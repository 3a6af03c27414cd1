"""The deliveries of day 1, and of day 2 as it follows from day 1."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from samples import broken_rows
from samples.delivery import Delivered, Delivery, day_start, iso
from samples.spelling import address_row, case_row, contact_row, customer_row, service_row
from samples.world import Address, Case, Customer, Service, World

SHARES = {"amdm": 0.2, "cmdm": 0.2, "jarvis": 0.3, "pega": 0.2, "sfdc": 0.1}
FILES = {
    "amdm": ("amdm.address_silver", "address", "csv"),
    "cmdm": ("cmdm.customer_silver", "customer", "csv"),
    "jarvis": ("jarvis.service_silver", "service", "csv"),
    "pega": ("pega.case_silver", "case", "json"),
    "sfdc": ("sfdc.contact_silver", "contact", "json"),
}
DUPLICATE = 0.02
OLDER = 0.04
BROKEN = 0.015
NEW = 0.25
DELETED = 0.002


class Days:
    """Deliveries day by day. The same seed and size give the same files, byte for byte."""

    def __init__(self, *, rows: int, seed: int) -> None:
        self.pick = random.Random(seed)
        self.sizes = {system: max(20, round(rows * share)) for system, share in SHARES.items()}
        self.world = World(random=self.pick)
        self.contacts: list[Customer] = []
        # Customers of whom day 1 brought an older version too: a later day has one that lies between.
        self.gaps: list[tuple[Customer, datetime]] = []
        self.delivered: dict[str, list[Delivered]] = {system: [] for system in SHARES}
        self.day = 0

    def next_day(self) -> list[Delivery]:
        """The files of the next day, one a system."""
        self.day += 1
        found = []
        for system in ("amdm", "cmdm", "jarvis", "pega", "sfdc"):
            dataset, prefix, file_format = FILES[system]
            rows = self._first(system) if self.day == 1 else self._later(system)
            self.pick.shuffle(rows)
            self.delivered[system] += [row for row in rows if not row.broken]
            found.append(Delivery(system=system, dataset=dataset, file_prefix=prefix, format=file_format, rows=rows))
        return found

    def _counts(self, system: str) -> tuple[int, int, int, int]:
        size = self.sizes[system]
        duplicates, older, broken = max(1, int(size * DUPLICATE)), max(1, int(size * OLDER)), max(1, int(size * BROKEN))
        return size - duplicates - older - broken, duplicates, older, broken

    def _first(self, system: str) -> list[Delivered]:
        base, duplicates, older, broken = self._counts(system)
        rows = [self._new(system) for _ in range(base)]
        rows += [self._older(system, position) for position in self.pick.sample(range(base), older)]
        rows += self.pick.sample(rows, duplicates)
        return rows + broken_rows.of(system, broken, day=self.day, pick=self.pick)

    def _later(self, system: str) -> list[Delivered]:
        base, duplicates, late, broken = self._counts(system)
        if system != "cmdm":
            base += late
        new = int(base * NEW)
        deleted = int(base * DELETED) if system == "cmdm" else 0
        rows = self.pick.sample(self.delivered[system], duplicates)
        known = self._known(system)
        changed = self.pick.sample(range(known), min(base - new, known))
        for position in changed[deleted:]:
            rows.append(self._changed(system, position))
        rows += [self._deleted(position) for position in changed[:deleted]]
        if system == "cmdm":
            rows += [self._between(customer, older) for customer, older in self.gaps[:late]]
        rows += [self._new(system) for _ in range(new)]
        return rows + broken_rows.of(system, broken, day=self.day, pick=self.pick)

    def _known(self, system: str) -> int:
        world = self.world
        known: dict[str, Sequence[object]] = {
            "amdm": world.addresses,
            "cmdm": world.customers,
            "jarvis": world.services,
            "pega": world.cases,
            "sfdc": self.contacts,
        }
        return len(known[system])

    def _moment(self) -> datetime:
        return self.world.moment(day_start(self.day))

    def _new(self, system: str) -> Delivered:
        moment = self._moment()
        if system == "amdm":
            return self._address(self.world.new_address(), moment)
        if system == "cmdm":
            return self._customer(self.world.new_customer(moment), moment)
        if system == "jarvis":
            return self._service(self.world.new_service(moment), moment)
        if system == "pega":
            return self._case(self.world.new_case(moment), moment)
        customer = self.world.customers[len(self.contacts)]
        self.contacts.append(replace(customer, updated=moment))
        return self._contact(self.contacts[-1], moment)

    def _older(self, system: str, position: int) -> Delivered:
        """A version from before the one that day 1 already has: it comes too late to be the state of its key."""
        back = timedelta(days=self.pick.randrange(2, 60))
        if system == "amdm":
            address = self.world.addresses[position]
            return self._address(replace(address, line_1=f"{address.line_1} East"), day_start(1) - back)
        if system == "cmdm":
            customer = self.world.customers[position]
            self.gaps.append((customer, customer.updated - back))
            return self._customer(replace(customer, phone=self._other_phone(customer)), customer.updated - back)
        if system == "jarvis":
            service = self.world.services[position]
            return self._service(replace(service, status="PENDING", plan="OLD-25"), service.updated - back)
        if system == "pega":
            case = self.world.cases[position]
            return self._case(replace(case, status="OPEN", resolved=None, minutes=None, reopened=0), case.created)
        contact = self.contacts[position]
        return self._contact(replace(contact, phone=self._other_phone(contact)), contact.updated - back)

    def _between(self, customer: Customer, older: datetime) -> Delivered:
        """A late change that lies between two versions that are already there."""
        middle = (older + (customer.updated - older) / 2).replace(microsecond=0)
        return self._customer(replace(customer, phone=self._other_phone(customer), family=f"{customer.family}-Late"), middle)

    def _changed(self, system: str, position: int) -> Delivered:
        moment = self._moment()
        pick = self.pick
        if system == "amdm":
            address = self.world.addresses[position]
            address.line_2 = f"Unit {pick.randrange(60, 120)}"
            return self._address(address, moment)
        if system == "cmdm":
            return self._changed_customer(position, moment)
        if system == "jarvis":
            service = self.world.services[position]
            service.status = pick.choice(("ACTIVE", "SUSPENDED", "CANCELLED"))
            return self._service(service, moment)
        if system == "pega":
            case = self.world.cases[position]
            case.status, case.resolved, case.minutes = "CLOSED", case.resolved or moment, case.minutes or pick.randrange(3, 180)
            return self._case(case, moment)
        contact = self.contacts[position]
        contact.phone = self._other_phone(contact)
        return self._contact(contact, moment)

    def _changed_customer(self, position: int, moment: datetime) -> Delivered:
        customer = self.world.customers[position]
        what = self.pick.random()
        if what < 0.4:
            customer.phone = self._other_phone(customer)
        elif what < 0.6:
            customer.address_id = self.pick.choice(self.world.addresses).address_id
        elif what < 0.95:
            name, host = customer.email.split("@")
            customer.email = f"{name}.{self.day}@{host}"
        # else: touched without a change, as CMDM's nightly batch does; no new version comes of it
        return self._customer(customer, moment)

    def _deleted(self, position: int) -> Delivered:
        return self._customer(self.world.customers[position], self._moment(), change="DELETE")

    def _other_phone(self, customer: Customer) -> str:
        return f"4{self.pick.randrange(10**8):08d}"

    def _address(self, address: Address, moment: datetime) -> Delivered:
        content = (address.line_1, address.line_2, address.place, address.mesh_block)
        return _delivered(address.address_id, moment, content, address_row(address, iso(moment), self.pick))

    def _customer(self, customer: Customer, moment: datetime, *, change: str = "UPSERT") -> Delivered:
        who = (customer.given, customer.family, customer.email, customer.phone, customer.address_id, customer.contact_id, change)
        row = customer_row(customer, iso(moment), self.pick, change=change)
        if self.day > 1:
            row["loyalty_tier"] = self.pick.choice(("BRONZE", "SILVER", "GOLD"))
        return _delivered(customer.customer_id, moment, who, row)

    def _service(self, service: Service, moment: datetime) -> Delivered:
        content = (service.account_id, service.service_type, service.plan, service.status, service.start)
        return _delivered(service.service_id, moment, content, service_row(service, iso(moment), self.pick))

    def _case(self, case: Case, moment: datetime) -> Delivered:
        content = (case.case_type, case.status, case.resolved, case.minutes, case.reopened)
        row = case_row(case, iso(moment), self.pick)
        if self.day > 1:
            row["priority"] = self.pick.choice(("LOW", "HIGH"))
        return _delivered(case.case_id, moment, content, row)

    def _contact(self, contact: Customer, moment: datetime) -> Delivered:
        address = self.world.addresses[int(contact.address_id[2:]) - 1]
        content = (contact.given, contact.family, contact.email, contact.phone, address.place)
        return _delivered(contact.contact_id, moment, content, contact_row(contact, address.place, iso(moment), self.pick))


def _delivered(key: str, moment: datetime, content: tuple[object, ...], row: dict[str, object]) -> Delivered:
    return Delivered(row=row, key=key, sequence=moment, content=content)
