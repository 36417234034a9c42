"""Files of other projects are unchanged."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from regulars.web import swagger

DIGESTS = {
    "swagger-ui-bundle.js": "2c2e2bfe20fc7cb996862067de67c3d34157929792b77988abf3aabef4663028",
    "swagger-ui.css": "4f76417253f37d7fe5aab8d69beaf3017570e2ab611289c504968b2078a07236",
    "favicon-32x32.png": "974139464776b35885c2091c39f4971d6fa998a04b26f604113935e4427ab4d9",
}


def test_the_files_of_swagger_ui_are_those_that_it_published() -> None:
    folder = Path(swagger.__file__).parent / "swagger_ui"
    assert {name: sha256((folder / name).read_bytes()).hexdigest() for name in DIGESTS} == DIGESTS
    assert "Apache License" in (folder / "LICENSE").read_text()
