"""What is sold in the malls: kinds of goods, their invented brands, and how people buy them.

No brand here is meant to be one that exists.
"""

from msgspec import Struct


class Category(Struct, frozen=True, eq=False):
    """A kind of goods.

    goods:     what there is, with the price of an ordinary piece in NOK
    kinds:     a product is one of the goods in one of these kinds
    options:   what the variants of a product differ in (a size, a colour, a weight)
    lines:     how likely a receipt has 1, 2, 3 ... different lines
    pieces:    the share of lines with more than one piece
    returned:  the share of receipts of which something comes back to the store
    on_sale:   whether seasonal sales apply; where not, members still get member prices
    shops:     how much of what is bought is bought in its shops, against the others
    """

    code: str
    name: str
    brands: tuple[str, ...]
    goods: dict[str, float]
    kinds: tuple[str, ...]
    options: tuple[str, ...]
    lines: tuple[float, ...]
    pieces: float
    returned: float
    on_sale: bool
    shops: float

    @property
    def is_fresh(self) -> bool:
        """Whether it is eaten soon: then it is neither brought back nor sent by post."""
        return self.returned == 0


CATEGORIES = (
    Category(
        code="FAS",
        name="fashion",
        brands=("Tveitun", "Sandlöv", "Aune Atelier", "Brzozka", "Kallola", "Havreal"),
        goods={
            "sweater": 599,
            "shirt": 449,
            "trousers": 649,
            "jacket": 1199,
            "dress": 799,
            "scarf": 249,
            "T-shirt": 199,
            "cardigan": 699,
            "socks": 79,
        },
        kinds=("Wool", "Linen", "Cotton", "Soft", "Everyday", "Striped", "Checked", "Navy"),
        options=("XS", "S", "M", "L", "XL"),
        lines=(0.52, 0.29, 0.13, 0.06),
        pieces=0.05,
        returned=0.11,
        on_sale=True,
        shops=1.5,
    ),
    Category(
        code="KID",
        name="children's clothes",
        brands=("Trollrik", "Mini Lyng", "Pjokken", "Snorkfri"),
        goods={"romper": 249, "hat": 149, "mittens": 129, "overall": 899, "pyjamas": 229, "sweatshirt": 279},
        kinds=("Warm", "Striped", "Soft", "Star", "Bear", "Forest"),
        options=("74", "86", "98", "110", "122"),
        lines=(0.38, 0.32, 0.19, 0.11),
        pieces=0.12,
        returned=0.09,
        on_sale=True,
        shops=0.8,
    ),
    Category(
        code="SHO",
        name="shoes",
        brands=("Stegmark", "Tåhei", "Vandrik", "Podeszka"),
        goods={"boots": 1399, "sneakers": 999, "sandals": 599, "slippers": 349, "loafers": 1099},
        kinds=("Leather", "Canvas", "Winter", "Light", "City", "Felt"),
        options=("37", "38", "39", "40", "42", "44"),
        lines=(0.83, 0.14, 0.03),
        pieces=0.01,
        returned=0.12,
        on_sale=True,
        shops=0.7,
    ),
    Category(
        code="SPO",
        name="sport and outdoor",
        brands=("Viddarr", "Bratthei", "Kuldegrad", "Løypa Lab", "Sisuva"),
        goods={
            "base layer": 499,
            "tights": 549,
            "shell jacket": 2499,
            "running shoes": 1499,
            "backpack": 999,
            "bottle": 199,
            "headlamp": 449,
            "gloves": 349,
        },
        kinds=("Trail", "Winter", "Storm", "Light", "Club", "Summit"),
        options=("S", "M", "L", "XL"),
        lines=(0.6, 0.25, 0.1, 0.05),
        pieces=0.05,
        returned=0.08,
        on_sale=True,
        shops=0.9,
    ),
    Category(
        code="BEA",
        name="beauty",
        brands=("Duggmose", "Iskildra", "Rosenhavn", "Tuoksula", "Hudro"),
        goods={
            "face cream": 299,
            "shampoo": 149,
            "hand balm": 119,
            "serum": 449,
            "perfume": 799,
            "shower oil": 139,
            "lip balm": 59,
        },
        kinds=("Birch", "Sea", "Rose", "Cloudberry", "Unscented", "Night"),
        options=("travel size", "classic", "refill"),
        lines=(0.45, 0.31, 0.16, 0.08),
        pieces=0.1,
        returned=0.02,
        on_sale=True,
        shops=1.2,
    ),
    Category(
        code="HOM",
        name="home",
        brands=("Stuero", "Lysvev", "Granbord", "Keramilla"),
        goods={
            "candle holder": 149,
            "blanket": 499,
            "bowl": 179,
            "table lamp": 899,
            "cushion": 249,
            "vase": 299,
            "mug": 99,
            "tray": 229,
        },
        kinds=("Fjord", "Forest", "Dusk", "Meadow", "Granite", "Birch"),
        options=("sand", "moss", "ink", "white"),
        lines=(0.5, 0.27, 0.15, 0.08),
        pieces=0.25,
        returned=0.05,
        on_sale=True,
        shops=0.9,
    ),
    Category(
        code="ELE",
        name="electronics",
        brands=("Voltaro", "Kvantekk", "Lydholt", "Pikselo"),
        goods={
            "headphones": 1299,
            "speaker": 1499,
            "charger": 299,
            "power bank": 449,
            "coffee maker": 1199,
            "tablet": 4499,
            "smart watch": 2499,
            "router": 1299,
        },
        kinds=("Mini", "Home", "Travel", "Pro", "Studio"),
        options=("black", "white", "grey"),
        lines=(0.76, 0.19, 0.05),
        pieces=0.03,
        returned=0.06,
        on_sale=True,
        shops=0.7,
    ),
    Category(
        code="BOO",
        name="books",
        brands=("Fyrlykta", "Blå Penn", "Nattbordet", "Sivukka"),
        goods={
            "harbour": 249,
            "winter": 249,
            "garden": 299,
            "letter": 229,
            "kitchen": 399,
            "island": 249,
            "road": 199,
        },
        kinds=("The quiet", "The last", "A small", "The northern", "My grandmother's", "The red"),
        options=("paperback", "hardback"),
        lines=(0.61, 0.27, 0.12),
        pieces=0.02,
        returned=0.03,
        on_sale=False,
        shops=0.6,
    ),
    Category(
        code="TOY",
        name="toys",
        brands=("Tog & Tårn", "Klosseland", "Spillverket", "Nallebo"),
        goods={
            "train": 349,
            "bear": 249,
            "puzzle": 149,
            "board game": 399,
            "building blocks": 499,
            "doll": 299,
            "playing cards": 79,
        },
        kinds=("Forest", "Harbour", "Circus", "Farm", "Little"),
        options=("small", "large"),
        lines=(0.55, 0.28, 0.12, 0.05),
        pieces=0.08,
        returned=0.04,
        on_sale=True,
        shops=0.6,
    ),
    Category(
        code="JEW",
        name="jewellery",
        brands=("Sølvrim", "Glimtra", "Nordfunn", "Bursztynka"),
        goods={"earrings": 449, "necklace": 799, "ring": 1499, "bracelet": 699, "watch": 2299},
        kinds=("Silver", "Golden", "Amber", "Pearl", "Steel"),
        options=("small", "medium", "large"),
        lines=(0.88, 0.1, 0.02),
        pieces=0.01,
        returned=0.05,
        on_sale=True,
        shops=0.3,
    ),
    Category(
        code="GRO",
        name="groceries",
        brands=("Kornrik", "Fjordfangst", "Seterhvit", "Grønnhøst", "Leivola"),
        goods={
            "bread": 42,
            "salmon": 139,
            "cheese": 119,
            "carrots": 25,
            "oatmeal": 35,
            "yoghurt": 29,
            "juice": 39,
            "crispbread": 34,
            "coffee": 69,
        },
        kinds=("Organic", "Fresh", "Local", "Farm", "Nordic", "Everyday"),
        options=("small", "family size"),
        lines=(0.06, 0.1, 0.14, 0.17, 0.17, 0.14, 0.12, 0.1),
        pieces=0.3,
        returned=0.0,
        on_sale=False,
        shops=2.2,
    ),
    Category(
        code="CAF",
        name="café",
        brands=("Kanelbua",),
        goods={
            "coffee": 49,
            "cinnamon bun": 45,
            "cocoa": 59,
            "sandwich": 119,
            "soup": 149,
            "cardamom knot": 49,
        },
        kinds=("Classic", "Large", "House", "Seasonal"),
        options=("to stay", "to go"),
        lines=(0.42, 0.38, 0.2),
        pieces=0.22,
        returned=0.0,
        on_sale=False,
        shops=1.6,
    ),
    Category(
        code="HEA",
        name="health",
        brands=("Friskurt", "Vitarim", "Løvblad"),
        goods={
            "vitamins": 189,
            "tea": 69,
            "ointment": 149,
            "plasters": 49,
            "omega oil": 249,
            "toothpaste": 45,
        },
        kinds=("Classic", "Gentle", "Children's", "Family"),
        options=("small", "large"),
        lines=(0.55, 0.3, 0.15),
        pieces=0.12,
        returned=0.01,
        on_sale=False,
        shops=0.9,
    ),
)
