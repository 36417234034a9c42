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
    base_prices: dict[str, float]
    styles: tuple[str, ...]
    variant_options: tuple[str, ...]
    line_count_weights: tuple[float, ...]
    multi_piece_share: float
    return_rate: float
    has_seasonal_sales: bool
    shop_weight: float

    @property
    def is_perishable(self) -> bool:
        """Whether it is eaten soon: then it is neither brought back nor sent by post."""
        return self.return_rate == 0


CATEGORIES = (
    Category(
        code="FAS",
        name="fashion",
        brands=("Tveitun", "Sandlöv", "Aune Atelier", "Brzozka", "Kallola", "Havreal"),
        base_prices={
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
        styles=("Wool", "Linen", "Cotton", "Soft", "Everyday", "Striped", "Checked", "Navy"),
        variant_options=("XS", "S", "M", "L", "XL"),
        line_count_weights=(0.52, 0.29, 0.13, 0.06),
        multi_piece_share=0.05,
        return_rate=0.11,
        has_seasonal_sales=True,
        shop_weight=1.5,
    ),
    Category(
        code="KID",
        name="children's clothes",
        brands=("Trollrik", "Mini Lyng", "Pjokken", "Snorkfri"),
        base_prices={"romper": 249, "hat": 149, "mittens": 129, "overall": 899, "pyjamas": 229, "sweatshirt": 279},
        styles=("Warm", "Striped", "Soft", "Star", "Bear", "Forest"),
        variant_options=("74", "86", "98", "110", "122"),
        line_count_weights=(0.38, 0.32, 0.19, 0.11),
        multi_piece_share=0.12,
        return_rate=0.09,
        has_seasonal_sales=True,
        shop_weight=0.8,
    ),
    Category(
        code="SHO",
        name="shoes",
        brands=("Stegmark", "Tåhei", "Vandrik", "Podeszka"),
        base_prices={"boots": 1399, "sneakers": 999, "sandals": 599, "slippers": 349, "loafers": 1099},
        styles=("Leather", "Canvas", "Winter", "Light", "City", "Felt"),
        variant_options=("37", "38", "39", "40", "42", "44"),
        line_count_weights=(0.83, 0.14, 0.03),
        multi_piece_share=0.01,
        return_rate=0.12,
        has_seasonal_sales=True,
        shop_weight=0.7,
    ),
    Category(
        code="SPO",
        name="sport and outdoor",
        brands=("Viddarr", "Bratthei", "Kuldegrad", "Løypa Lab", "Sisuva"),
        base_prices={
            "base layer": 499,
            "tights": 549,
            "shell jacket": 2499,
            "running shoes": 1499,
            "backpack": 999,
            "bottle": 199,
            "headlamp": 449,
            "gloves": 349,
        },
        styles=("Trail", "Winter", "Storm", "Light", "Club", "Summit"),
        variant_options=("S", "M", "L", "XL"),
        line_count_weights=(0.6, 0.25, 0.1, 0.05),
        multi_piece_share=0.05,
        return_rate=0.08,
        has_seasonal_sales=True,
        shop_weight=0.9,
    ),
    Category(
        code="BEA",
        name="beauty",
        brands=("Duggmose", "Iskildra", "Rosenhavn", "Tuoksula", "Hudro"),
        base_prices={
            "face cream": 299,
            "shampoo": 149,
            "hand balm": 119,
            "serum": 449,
            "perfume": 799,
            "shower oil": 139,
            "lip balm": 59,
        },
        styles=("Birch", "Sea", "Rose", "Cloudberry", "Unscented", "Night"),
        variant_options=("travel size", "classic", "refill"),
        line_count_weights=(0.45, 0.31, 0.16, 0.08),
        multi_piece_share=0.1,
        return_rate=0.02,
        has_seasonal_sales=True,
        shop_weight=1.2,
    ),
    Category(
        code="HOM",
        name="home",
        brands=("Stuero", "Lysvev", "Granbord", "Keramilla"),
        base_prices={
            "candle holder": 149,
            "blanket": 499,
            "bowl": 179,
            "table lamp": 899,
            "cushion": 249,
            "vase": 299,
            "mug": 99,
            "tray": 229,
        },
        styles=("Fjord", "Forest", "Dusk", "Meadow", "Granite", "Birch"),
        variant_options=("sand", "moss", "ink", "white"),
        line_count_weights=(0.5, 0.27, 0.15, 0.08),
        multi_piece_share=0.25,
        return_rate=0.05,
        has_seasonal_sales=True,
        shop_weight=0.9,
    ),
    Category(
        code="ELE",
        name="electronics",
        brands=("Voltaro", "Kvantekk", "Lydholt", "Pikselo"),
        base_prices={
            "headphones": 1299,
            "speaker": 1499,
            "charger": 299,
            "power bank": 449,
            "coffee maker": 1199,
            "tablet": 4499,
            "smart watch": 2499,
            "router": 1299,
        },
        styles=("Mini", "Home", "Travel", "Pro", "Studio"),
        variant_options=("black", "white", "grey"),
        line_count_weights=(0.76, 0.19, 0.05),
        multi_piece_share=0.03,
        return_rate=0.06,
        has_seasonal_sales=True,
        shop_weight=0.7,
    ),
    Category(
        code="BOO",
        name="books",
        brands=("Fyrlykta", "Blå Penn", "Nattbordet", "Sivukka"),
        base_prices={
            "harbour": 249,
            "winter": 249,
            "garden": 299,
            "letter": 229,
            "kitchen": 399,
            "island": 249,
            "road": 199,
        },
        styles=("The quiet", "The last", "A small", "The northern", "My grandmother's", "The red"),
        variant_options=("paperback", "hardback"),
        line_count_weights=(0.61, 0.27, 0.12),
        multi_piece_share=0.02,
        return_rate=0.03,
        has_seasonal_sales=False,
        shop_weight=0.6,
    ),
    Category(
        code="TOY",
        name="toys",
        brands=("Tog & Tårn", "Klosseland", "Spillverket", "Nallebo"),
        base_prices={
            "train": 349,
            "bear": 249,
            "puzzle": 149,
            "board game": 399,
            "building blocks": 499,
            "doll": 299,
            "playing cards": 79,
        },
        styles=("Forest", "Harbour", "Circus", "Farm", "Little"),
        variant_options=("small", "large"),
        line_count_weights=(0.55, 0.28, 0.12, 0.05),
        multi_piece_share=0.08,
        return_rate=0.04,
        has_seasonal_sales=True,
        shop_weight=0.6,
    ),
    Category(
        code="JEW",
        name="jewellery",
        brands=("Sølvrim", "Glimtra", "Nordfunn", "Bursztynka"),
        base_prices={"earrings": 449, "necklace": 799, "ring": 1499, "bracelet": 699, "watch": 2299},
        styles=("Silver", "Golden", "Amber", "Pearl", "Steel"),
        variant_options=("small", "medium", "large"),
        line_count_weights=(0.88, 0.1, 0.02),
        multi_piece_share=0.01,
        return_rate=0.05,
        has_seasonal_sales=True,
        shop_weight=0.3,
    ),
    Category(
        code="GRO",
        name="groceries",
        brands=("Kornrik", "Fjordfangst", "Seterhvit", "Grønnhøst", "Leivola"),
        base_prices={
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
        styles=("Organic", "Fresh", "Local", "Farm", "Nordic", "Everyday"),
        variant_options=("small", "family size"),
        line_count_weights=(0.06, 0.1, 0.14, 0.17, 0.17, 0.14, 0.12, 0.1),
        multi_piece_share=0.3,
        return_rate=0.0,
        has_seasonal_sales=False,
        shop_weight=2.2,
    ),
    Category(
        code="CAF",
        name="café",
        brands=("Kanelbua",),
        base_prices={
            "coffee": 49,
            "cinnamon bun": 45,
            "cocoa": 59,
            "sandwich": 119,
            "soup": 149,
            "cardamom knot": 49,
        },
        styles=("Classic", "Large", "House", "Seasonal"),
        variant_options=("to stay", "to go"),
        line_count_weights=(0.42, 0.38, 0.2),
        multi_piece_share=0.22,
        return_rate=0.0,
        has_seasonal_sales=False,
        shop_weight=1.6,
    ),
    Category(
        code="HEA",
        name="health",
        brands=("Friskurt", "Vitarim", "Løvblad"),
        base_prices={
            "vitamins": 189,
            "tea": 69,
            "ointment": 149,
            "plasters": 49,
            "omega oil": 249,
            "toothpaste": 45,
        },
        styles=("Classic", "Gentle", "Children's", "Family"),
        variant_options=("small", "large"),
        line_count_weights=(0.55, 0.3, 0.15),
        multi_piece_share=0.12,
        return_rate=0.01,
        has_seasonal_sales=False,
        shop_weight=0.9,
    ),
)
