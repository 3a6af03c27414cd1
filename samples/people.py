"""Given and family names as an Australian telephone directory mixes them, and street names."""

from __future__ import annotations

# fmt: off
GIVEN = (
    "Oliver", "Charlotte", "Noah", "Amelia", "Jack", "Isla", "Henry", "Olivia", "William", "Mia", "Leo", "Ava", "Theodore",
    "Matilda", "Hudson", "Grace", "Luca", "Willow", "Charlie", "Ella", "Thomas", "Chloe", "Archie", "Sophie", "James", "Zoe",
    "Lucas", "Harper", "Ethan", "Ruby", "Alexander", "Evie", "Harrison", "Lily", "Elijah", "Hazel", "Mason", "Ivy", "Liam",
    "Sienna", "Max", "Aria", "Angus", "Georgia", "Lachlan", "Imogen", "Hamish", "Freya", "Cooper", "Daisy", "Darcy", "Tahlia",
    "Kieran", "Siobhán", "Renée", "Zoë", "Björn", "Anh", "Minh", "Thi", "Wei", "Jing", "Priya", "Arjun", "Ananya", "Rohan",
    "Mohammed", "Fatima", "Aisha", "Yusuf", "Giulia", "Matteo", "Eleni", "Nikos", "Mei", "Hiroshi", "Kirra", "Jarrah", "Alinta",
    "Tane", "Aroha", "Jean-Luc", "Mary-Anne",
)
FAMILY = (
    "Smith", "Jones", "Williams", "Brown", "Wilson", "Taylor", "Johnson", "White", "Martin", "Anderson", "Thompson", "Nguyen",
    "Thomas", "Walker", "Harris", "Lee", "Ryan", "Robinson", "Kelly", "King", "Davis", "Wright", "Evans", "Roberts", "Green",
    "Hall", "Wood", "Jackson", "Clarke", "Patel", "Khan", "Lewis", "Scott", "Young", "Mitchell", "Chen", "Wang", "Singh", "Zhang",
    "Tran", "Liu", "Campbell", "O'Brien", "O'Connor", "O'Sullivan", "D'Angelo", "McDonald", "MacKenzie", "Murphy", "Kennedy",
    "Papadopoulos", "Rossi", "Russo", "Kovačević", "Müller", "Nowak", "Silva", "García", "Haddad", "Hussein", "Ali", "Kaur",
    "Sharma", "Gupta", "Kim", "Park", "Yamamoto", "Le", "Pham", "Vu", "Yunupingu", "Nakamarra", "Faleafa", "Tui", "Fraser",
    "Stewart", "Reid", "Baker", "Hughes", "Price", "Bell", "Cook", "Morgan", "Cooper", "Ward", "Turner", "Phillips", "Edwards",
    "Collins", "Parker", "Watson", "Bennett", "Gray", "Simpson", "Smith-Jones",
)
STREETS = (
    "George", "Elizabeth", "William", "Victoria", "Albert", "Church", "High", "Station", "Railway", "Park", "Queen", "King",
    "Bourke", "Collins", "Swanston", "Hunter", "Macquarie", "Pitt", "Crown", "Oxford", "Liverpool", "Kent", "Sussex", "York",
    "Clarence", "Beach", "Ocean", "Harbour", "River", "Hill", "Forest", "Wattle", "Banksia", "Acacia", "Grevillea", "Jacaranda",
    "Eucalyptus", "Kookaburra", "Lorikeet", "Anzac", "Federation", "Flinders", "Cook", "Phillip", "Bligh", "Darling", "Murray",
    "Barton", "Deakin", "Curtin", "Chifley", "Menzies",
)
# fmt: on
STREET_TYPES = ("Street", "Road", "Avenue", "Lane", "Parade", "Crescent", "Drive", "Place", "Terrace", "Highway")
