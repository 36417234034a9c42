"""The countries that the mall club is at home in: towns with their post codes, streets, money, telephones.

Towns, post codes and regions are real (regions by ISO 3166-2), so that maps and place searches find them;
the streets are names that many towns have. Telephone numbers begin with digits under which the national
numbering plans have no subscribers, as far as the metadata of libphonenumber tells: +47 43, +46 78, +45 85,
+358 59, +48 92.
"""

from msgspec import Struct

from regulars.demo.rows import Address


class Region(Struct, frozen=True):
    """A county or province, by its name and its ISO 3166-2 code."""

    iso: str
    name: str


class Town(Struct, frozen=True, eq=False):
    """A town by one of its post codes; `mall_city` is the town to whose mall its people go, if to any."""

    city: str
    postcode: str
    region: Region
    mall_city: str | None


class Country(Struct, frozen=True, eq=False):
    """A country of the club; `price_factor` turns a price in NOK into what its shops ask in its own money."""

    iso: str
    name: str
    timezone: str
    currency: str
    price_factor: float
    language: str
    phone_series: str
    phone_digits: int
    street: str
    streets: tuple[str, ...]
    towns: tuple[Town, ...]

    def phone(self, number: int) -> str:
        """The telephone number that belongs to a running number, in E.164."""
        return f"{self.phone_series}{number:0{self.phone_digits}d}"

    def address(self, town: Town, street: str, house: int) -> Address:
        """The postal address of a house."""
        return {
            "address_line_1": self.street.format(street=street, house=house),
            "city": town.city,
            "postcode": town.postcode,
            "state": town.region.name,
            "iso_state": town.region.iso,
            "country": self.name,
            "iso": self.iso,
        }


def _words(streets: str) -> tuple[str, ...]:
    return tuple(streets.split())


_OSLO = Region("NO-03", "Oslo")
_AKERSHUS = Region("NO-32", "Akershus")
_BUSKERUD = Region("NO-33", "Buskerud")
_VESTLAND = Region("NO-46", "Vestland")
_TRONDELAG = Region("NO-50", "Trøndelag")

NORWAY = Country(
    iso="NO",
    name="Norway",
    timezone="Europe/Oslo",
    currency="NOK",
    price_factor=1.0,
    language="nb",
    phone_series="+4743",
    phone_digits=6,
    street="{street} {house}",
    streets=_words(
        "Storgata Kirkegata Skolegata Parkveien Strandveien Fjellveien Bjørkeveien Granveien "
        "Solbakken Elveveien Nygata Rosenlundveien"
    ),
    towns=(
        Town("Drammen", "3015", _BUSKERUD, "Drammen"),
        Town("Drammen", "3044", _BUSKERUD, "Drammen"),
        Town("Kongsberg", "3611", _BUSKERUD, "Drammen"),
        Town("Hønefoss", "3510", _BUSKERUD, "Drammen"),
        Town("Asker", "1383", _AKERSHUS, "Drammen"),
        Town("Sandvika", "1337", _AKERSHUS, "Drammen"),
        Town("Bergen", "5015", _VESTLAND, "Bergen"),
        Town("Bergen", "5058", _VESTLAND, "Bergen"),
        Town("Kleppestø", "5300", _VESTLAND, "Bergen"),
        Town("Voss", "5700", _VESTLAND, "Bergen"),
        Town("Trondheim", "7010", _TRONDELAG, "Trondheim"),
        Town("Trondheim", "7030", _TRONDELAG, "Trondheim"),
        Town("Stjørdal", "7500", _TRONDELAG, "Trondheim"),
        Town("Orkanger", "7300", _TRONDELAG, "Trondheim"),
        Town("Oslo", "0155", _OSLO, None),
        Town("Lillestrøm", "2000", _AKERSHUS, None),
    ),
)

_VASTRA_GOTALAND = Region("SE-O", "Västra Götalands län")
_HALLAND = Region("SE-N", "Hallands län")
_VASTERBOTTEN = Region("SE-AC", "Västerbottens län")
_STOCKHOLM = Region("SE-AB", "Stockholms län")

SWEDEN = Country(
    iso="SE",
    name="Sweden",
    timezone="Europe/Stockholm",
    currency="SEK",
    price_factor=0.98,
    language="sv",
    phone_series="+4678",
    phone_digits=7,
    street="{street} {house}",
    streets=_words(
        "Storgatan Kungsgatan Drottninggatan Skolgatan Strandvägen Björkvägen Parkgatan Ringvägen "
        "Nygatan Kyrkogatan Ängsvägen Tallstigen"
    ),
    towns=(
        Town("Göteborg", "411 03", _VASTRA_GOTALAND, "Göteborg"),
        Town("Göteborg", "413 04", _VASTRA_GOTALAND, "Göteborg"),
        Town("Mölndal", "431 30", _VASTRA_GOTALAND, "Göteborg"),
        Town("Kungsbacka", "434 30", _HALLAND, "Göteborg"),
        Town("Borås", "503 30", _VASTRA_GOTALAND, "Göteborg"),
        Town("Umeå", "903 26", _VASTERBOTTEN, "Umeå"),
        Town("Skellefteå", "931 30", _VASTERBOTTEN, "Umeå"),
        Town("Stockholm", "111 20", _STOCKHOLM, None),
    ),
)

_MIDTJYLLAND = Region("DK-82", "Region Midtjylland")
_SYDDANMARK = Region("DK-83", "Region Syddanmark")
_HOVEDSTADEN = Region("DK-84", "Region Hovedstaden")

DENMARK = Country(
    iso="DK",
    name="Denmark",
    timezone="Europe/Copenhagen",
    currency="DKK",
    price_factor=0.68,
    language="da",
    phone_series="+4585",
    phone_digits=6,
    street="{street} {house}",
    streets=_words(
        "Vestergade Østergade Nørregade Søndergade Kirkegade Skolegade Algade Strandvejen Bøgevej "
        "Engvej Møllevej Rosenvænget"
    ),
    towns=(
        Town("Aarhus", "8000", _MIDTJYLLAND, "Aarhus"),
        Town("Risskov", "8240", _MIDTJYLLAND, "Aarhus"),
        Town("Randers", "8900", _MIDTJYLLAND, "Aarhus"),
        Town("Silkeborg", "8600", _MIDTJYLLAND, "Aarhus"),
        Town("Horsens", "8700", _MIDTJYLLAND, "Aarhus"),
        Town("Odense", "5000", _SYDDANMARK, None),
        Town("København", "1050", _HOVEDSTADEN, None),
    ),
)

_PIRKANMAA = Region("FI-11", "Pirkanmaa")
_UUSIMAA = Region("FI-18", "Uusimaa")
_VARSINAIS_SUOMI = Region("FI-19", "Varsinais-Suomi")

FINLAND = Country(
    iso="FI",
    name="Finland",
    timezone="Europe/Helsinki",
    currency="EUR",
    price_factor=0.09,
    language="fi",
    phone_series="+35859",
    phone_digits=7,
    street="{street} {house}",
    streets=_words(
        "Kauppakatu Koulukatu Kirkkokatu Puistokatu Rantatie Asematie Koivukuja Mäntytie "
        "Satamakatu Torikatu Kuusitie Pellavatie"
    ),
    towns=(
        Town("Tampere", "33100", _PIRKANMAA, "Tampere"),
        Town("Tampere", "33200", _PIRKANMAA, "Tampere"),
        Town("Nokia", "37100", _PIRKANMAA, "Tampere"),
        Town("Lempäälä", "37500", _PIRKANMAA, "Tampere"),
        Town("Valkeakoski", "37600", _PIRKANMAA, "Tampere"),
        Town("Turku", "20100", _VARSINAIS_SUOMI, None),
        Town("Helsinki", "00100", _UUSIMAA, None),
    ),
)

_POMORSKIE = Region("PL-22", "Pomorskie")
_MAZOWIECKIE = Region("PL-14", "Mazowieckie")

POLAND = Country(
    iso="PL",
    name="Poland",
    timezone="Europe/Warsaw",
    currency="PLN",
    price_factor=0.36,
    language="pl",
    phone_series="+4892",
    phone_digits=7,
    street="ul. {street} {house}",
    streets=_words("Długa Ogrodowa Szkolna Polna Leśna Słoneczna Krótka Kwiatowa Lipowa Brzozowa Parkowa Morska"),
    towns=(
        Town("Gdańsk", "80-831", _POMORSKIE, "Gdańsk"),
        Town("Gdańsk", "80-288", _POMORSKIE, "Gdańsk"),
        Town("Gdynia", "81-364", _POMORSKIE, "Gdańsk"),
        Town("Sopot", "81-703", _POMORSKIE, "Gdańsk"),
        Town("Tczew", "83-110", _POMORSKIE, "Gdańsk"),
        Town("Warszawa", "00-001", _MAZOWIECKIE, None),
    ),
)

COUNTRIES = (NORWAY, SWEDEN, DENMARK, FINLAND, POLAND)
