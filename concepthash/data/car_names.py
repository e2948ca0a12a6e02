"""What the name of a car of Stanford Cars tells: its make and the type of its body."""

__all__ = ["body_of", "make_of"]

_MAKES_OF_TWO_WORDS = ("AM General", "Aston Martin", "Land Rover")
_BODIES = ("Sedan", "SUV", "Coupe", "Convertible", "Hatchback", "Wagon", "Minivan", "Van", "Cab")
_BODIES_NOT_NAMED = {
    "Acura Integra Type R 2001": "Coupe",
    "Acura TL Type-S 2008": "Sedan",
    "Buick Regal GS 2012": "Sedan",
    "Chevrolet Cobalt SS 2010": "Coupe",
    "Chevrolet Corvette Ron Fellows Edition Z06 2007": "Coupe",
    "Chevrolet Corvette ZR1 2012": "Coupe",
    "Chevrolet HHR SS 2010": "Minivan",
    "Chevrolet TrailBlazer SS 2009": "SUV",
    "Chrysler 300 SRT-8 2010": "Sedan",
    "Dodge Challenger SRT8 2011": "Coupe",
    "Dodge Charger SRT-8 2009": "Sedan",
    "FIAT 500 Abarth 2012": "Coupe",
    "Ford E-Series Wagon Van 2012": "Wagon",
    "Ford Ranger SuperCab 2011": "Cab",
    "Jaguar XK XKR 2012": "Coupe",
    "Lamborghini Gallardo LP 570-4 Superleggera 2012": "Coupe",
}


def make_of(class_name: str) -> str:
    """Give the make, the first word or two of a car's name.

    Examples
    --------
    >>> make_of("Land Rover LR2 SUV 2012"), make_of("Volvo 240 Sedan 1993")
    ('Land Rover', 'Volvo')
    """
    two_words = [make for make in _MAKES_OF_TWO_WORDS if class_name.startswith(f"{make} ")]
    return two_words[0] if two_words else class_name.partition(" ")[0]


def body_of(class_name: str) -> str:
    """Give the type of the body, the last word of the name that is one; empty where it is not known.

    Examples
    --------
    >>> body_of("Dodge Caravan Minivan 1997"), body_of("Jaguar XK XKR 2012"), body_of("Tank")
    ('Minivan', 'Coupe', '')
    """
    named = [word for word in class_name.split() if word in _BODIES]
    return _BODIES_NOT_NAMED.get(class_name) or (named[-1] if named else "")
