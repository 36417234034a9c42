"""Names that people in each country have, put together at random; the people are invented."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

Sex = Literal["female", "male"]


class Names(Struct, frozen=True, eq=False):
    """First names by sex, and family names as a man bears them."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]


def _words(names: str) -> tuple[str, ...]:
    return tuple(names.split())


NAMES = {
    "NO": Names(
        female=_words(
            "Ingrid Solveig Astrid Marit Silje Hanne Kari Liv Sigrid Tuva Nora Ida Emma Berit "
            "Ragnhild Thea Camilla Guro Anette Randi Maren Oda Vilde Åse"
        ),
        male=_words(
            "Olav Lars Jonas Sindre Eirik Håkon Magnus Kristian Øyvind Bjørn Tor Henrik Even Sverre "
            "Trond Mathias Anders Geir Arne Jakob Stian Vegard"
        ),
        family=_words(
            "Moen Haugen Lien Bakke Strand Solberg Nygård Dahl Hagen Lunde Eide Myhre Brekke Sandvik "
            "Aas Tangen Kvam Rønning Fossum Skaar Ødegård Vik Hauge Bjerke Holte Nordby Ruud Sætre "
            "Aune Hansen Johansen Olsen Larsen"
        ),
    ),
    "SE": Names(
        female=_words(
            "Elin Karin Maja Linnea Sofia Ebba Annika Birgitta Saga Alva Malin Kerstin Johanna Wilma "
            "Märta Ulrika Tove Frida Gunilla Åsa"
        ),
        male=_words(
            "Erik Gustav Oskar Nils Axel Björn Fredrik Viktor Lennart Mats Emil Hugo Sven Göran "
            "Jonatan Albin Per Stefan Rasmus Håkan"
        ),
        family=_words(
            "Lindqvist Bergström Nyström Sjöberg Lundgren Ekström Holmgren Sandberg Wikström Norberg "
            "Dahlgren Öberg Hedlund Åkesson Blomqvist Söderlund Fransson Engström Andersson Johansson "
            "Karlsson Nilsson Eriksson Svensson Hellström Forsman"
        ),
    ),
    "DK": Names(
        female=_words(
            "Mette Kirsten Freja Signe Louise Pia Josefine Bodil Lærke Maja Gitte Cecilie Birthe "
            "Alberte Trine Rikke Asta Inge Sofie Karen"
        ),
        male=_words(
            "Mikkel Søren Jens Rasmus Frederik Niels Kasper Anton Poul Villads Jørgen Emil Thomas "
            "Henning Asger Lasse Bent Malthe Kim Viggo"
        ),
        family=_words(
            "Kjær Holm Bech Lund Østergaard Skov Nørgaard Bruun Friis Vestergaard Krogh Dam Toft "
            "Iversen Jensen Nielsen Pedersen Rasmussen Mortensen Bang Søndergaard Winther Thygesen "
            "Bjerre Laursen"
        ),
    ),
    "FI": Names(
        female=_words(
            "Aino Helmi Sanna Päivi Katri Emilia Venla Tuula Marjatta Iida Riikka Anneli Noora Eeva "
            "Outi Hilkka Saara Kaisa Leena Mirja"
        ),
        male=_words(
            "Juhani Mikko Eero Antti Väinö Jukka Ville Onni Tapio Matti Lauri Heikki Aleksi Pekka "
            "Risto Eetu Kalevi Sami Timo Olavi"
        ),
        family=_words(
            "Virtanen Korhonen Mäkelä Nieminen Laine Heikkinen Koskela Järvinen Salonen Rantanen "
            "Lehtonen Kallio Hietala Niskanen Peltola Saarinen Kivelä Hakala Ojala Rautio Ylönen "
            "Harju Aaltonen Karjalainen Tuominen"
        ),
    ),
    "PL": Names(
        female=_words(
            "Agnieszka Zofia Katarzyna Hanna Małgorzata Julia Ewa Maja Barbara Aleksandra Magdalena "
            "Krystyna Natalia Oliwia Joanna Grażyna Wiktoria Dorota Lena Beata"
        ),
        male=_words(
            "Piotr Jakub Tomasz Andrzej Łukasz Michał Stanisław Kacper Marcin Wojciech Paweł Szymon "
            "Jan Grzegorz Antoni Rafał Bartosz Zbigniew Filip Marek"
        ),
        family=_words(
            "Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański Woźniak Dąbrowski "
            "Kozłowski Mazur Krawczyk Piotrowski Grabowski Pawłowski Michalski Król Wieczorek "
            "Jabłoński Nowicki Majewski Olszewski Jaworski Malinowski Sikora"
        ),
    ),
}

_PLAIN = str.maketrans("æøåäöąćęłńóśźż", "aoaaoacelnoszz")


def family_name(country: str, sex: Sex, chance: Callable[[], float]) -> str:
    """A family name; Polish ones agree with the sex of who bears them."""
    family = NAMES[country].family
    name = family[int(chance() * len(family))]
    if country == "PL" and sex == "female" and name.endswith("i"):
        return name[:-1] + "a"
    return name


def first_name(country: str, sex: Sex, chance: Callable[[], float]) -> str:
    """A first name."""
    names = NAMES[country].female if sex == "female" else NAMES[country].male
    return names[int(chance() * len(names))]


def to_ascii(name: str) -> str:
    """The name as it stands in an e-mail address."""
    return name.lower().translate(_PLAIN)
