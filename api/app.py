"""The two applications: what they serve and what wraps it. The only wiring of routes."""

from fastapi import FastAPI
from starlette.types import ASGIApp

from api.http import problems
from api.http.middleware import DrainUnread, HeadAsGet, RequestId, with_cors
from api.pages.pages import static_files
from api.routes import form_types, forms, html_forms, internal, operations, pages, uploads
from api.services import Services


def create_public_app(services: Services) -> ASGIApp:
    app = FastAPI(
        title="Longshore", version="1", docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.services = services
    for module in (form_types, forms, html_forms, uploads, operations, pages):
        app.include_router(module.router)
    app.router.routes += static_files()
    problems.install(app)
    return with_cors(RequestId(DrainUnread(HeadAsGet(app))), services.settings.cors_origins)


def create_internal_app(services: Services) -> ASGIApp:
    app = FastAPI(
        title="Longshore, internal",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.include_router(internal.router)
    app.include_router(operations.router)
    problems.install(app)
    return RequestId(DrainUnread(app))
