"""``/docs``: Swagger UI for the OpenAPI document, from an installed package instead of a CDN."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.staticfiles import StaticFiles

_ASSETS: Final = "/docs/assets"

router = APIRouter(include_in_schema=False)


#: Swagger UI itself sets styles; all else comes from this server.
_POLICY: Final = (
    "default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@router.get("/docs")
async def docs() -> Response:
    page = _page()
    page.headers["Content-Security-Policy"] = _POLICY.format(scripts=_allowed_scripts(bytes(page.body)))
    return page


def _allowed_scripts(page: bytes) -> str:
    """Return the hashes of the scripts within the page, which a policy names to allow them (CSP level 2)."""
    hashes = (base64.b64encode(hashlib.sha256(script).digest()) for script in _INLINE_SCRIPT.findall(page))
    return " ".join(f"'sha256-{digest.decode()}'" for digest in hashes)


def _page() -> Response:
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="Callboard",
        swagger_js_url=f"{_ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{_ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{_ASSETS}/favicon.png",
        swagger_ui_parameters={"docExpansion": "list", "defaultModelsExpandDepth": 0, "validatorUrl": None},
    )


def mount_assets(app: FastAPI) -> None:
    """Serve Swagger UI's files."""
    app.mount(_ASSETS, StaticFiles(directory=str(files("fastapi_offline") / "static")), name="docs-assets")
