"""The countries of the mall club: towns with their post codes, streets, currencies and telephone numbers.

Towns, post codes and regions are real (regions by ISO 3166-2), so that maps and place searches find them;
the streets are names that many towns have. Telephone numbers begin with digits under which the national
numbering plans have no subscribers, according to the metadata of libphonenumber: +47 43, +46 78, +45 85,
+358 59, +48 92.
"""

from msgspec import Struct

from regulars.demo.rows import AddressRecord


class Region(Struct, frozen=True):
    """A county or province, by its name and its ISO 3166-2 code."""

    iso: str
    name: str


class HomeTown(Struct, frozen=True, eq=False):
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
    towns: tuple[HomeTown, ...]

    def phone(self, number: int) -> str:
        """The telephone number that belongs to a running number, in E.164."""
        return f"{self.phone_series}{number:0{self.phone_digits}d}"

    def address(self, town: HomeTown, street: str, house: int) -> AddressRecord:
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
        HomeTown("Drammen", "3015", _BUSKERUD, "Drammen"),
        HomeTown("Drammen", "3044", _BUSKERUD, "Drammen"),
        HomeTown("Kongsberg", "3611", _BUSKERUD, "Drammen"),
        HomeTown("Hønefoss", "3510", _BUSKERUD, "Drammen"),
        HomeTown("Asker", "1383", _AKERSHUS, "Drammen"),
        HomeTown("Sandvika", "1337", _AKERSHUS, "Drammen"),
        HomeTown("Bergen", "5015", _VESTLAND, "Bergen"),
        HomeTown("Bergen", "5058", _VESTLAND, "Bergen"),
        HomeTown("Kleppestø", "5300", _VESTLAND, "Bergen"),
        HomeTown("Voss", "5700", _VESTLAND, "Bergen"),
        HomeTown("Trondheim", "7010", _TRONDELAG, "Trondheim"),
        HomeTown("Trondheim", "7030", _TRONDELAG, "Trondheim"),
        HomeTown("Stjørdal", "7500", _TRONDELAG, "Trondheim"),
        HomeTown("Orkanger", "7300", _TRONDELAG, "Trondheim"),
        HomeTown("Oslo", "0155", _OSLO, None),
        HomeTown("Lillestrøm", "2000", _AKERSHUS, None),
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
        HomeTown("Göteborg", "411 03", _VASTRA_GOTALAND, "Göteborg"),
        HomeTown("Göteborg", "413 04", _VASTRA_GOTALAND, "Göteborg"),
        HomeTown("Mölndal", "431 30", _VASTRA_GOTALAND, "Göteborg"),
        HomeTown("Kungsbacka", "434 30", _HALLAND, "Göteborg"),
        HomeTown("Borås", "503 30", _VASTRA_GOTALAND, "Göteborg"),
        HomeTown("Umeå", "903 26", _VASTERBOTTEN, "Umeå"),
        HomeTown("Skellefteå", "931 30", _VASTERBOTTEN, "Umeå"),
        HomeTown("Stockholm", "111 20", _STOCKHOLM, None),
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
        HomeTown("Aarhus", "8000", _MIDTJYLLAND, "Aarhus"),
        HomeTown("Risskov", "8240", _MIDTJYLLAND, "Aarhus"),
        HomeTown("Randers", "8900", _MIDTJYLLAND, "Aarhus"),
        HomeTown("Silkeborg", "8600", _MIDTJYLLAND, "Aarhus"),
        HomeTown("Horsens", "8700", _MIDTJYLLAND, "Aarhus"),
        HomeTown("Odense", "5000", _SYDDANMARK, None),
        HomeTown("København", "1050", _HOVEDSTADEN, None),
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
        HomeTown("Tampere", "33100", _PIRKANMAA, "Tampere"),
        HomeTown("Tampere", "33200", _PIRKANMAA, "Tampere"),
        HomeTown("Nokia", "37100", _PIRKANMAA, "Tampere"),
        HomeTown("Lempäälä", "37500", _PIRKANMAA, "Tampere"),
        HomeTown("Valkeakoski", "37600", _PIRKANMAA, "Tampere"),
        HomeTown("Turku", "20100", _VARSINAIS_SUOMI, None),
        HomeTown("Helsinki", "00100", _UUSIMAA, None),
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
        HomeTown("Gdańsk", "80-831", _POMORSKIE, "Gdańsk"),
        HomeTown("Gdańsk", "80-288", _POMORSKIE, "Gdańsk"),
        HomeTown("Gdynia", "81-364", _POMORSKIE, "Gdańsk"),
        HomeTown("Sopot", "81-703", _POMORSKIE, "Gdańsk"),
        HomeTown("Tczew", "83-110", _POMORSKIE, "Gdańsk"),
        HomeTown("Warszawa", "00-001", _MAZOWIECKIE, None),
    ),
)

COUNTRIES = (NORWAY, SWEDEN, DENMARK, FINLAND, POLAND)
