"""The two applications: what they serve and what wraps it. The only wiring of routes."""

from collections.abc import Callable
from types import ModuleType

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from api.access.session import cookies_below
from api.html.browser_module import browser_module
from api.html.render import static_files
from api.http import problems
from api.http.acknowledgements import TimeAcknowledgements
from api.http.bodies import ReadWhole
from api.http.client_address import KnowClient
from api.http.connections import ShareRequests
from api.http.cookie import OnlyCookies
from api.http.middleware import DrainUnread, HeadAsGet, RefuseHead, RequestId, with_cors
from api.http.public_path import BelowPath
from api.http.stopping import RefuseWhenStopping
from api.http.tus import SpeakTus
from api.http.watched import WatchLoop
from api.openapi import document
from api.routes import (
    docs,
    events,
    filepond,
    form_types,
    forms,
    html_forms,
    internal,
    operations,
    pages,
    tus,
    uploads,
    watching,
)
from api.routes.plain import PlainRoute
from api.services import Services
from api.settings.public_url import path_of
from api.upkeep.backlog_figures import Backlog

_PUBLIC = """Takes the files of a web form off the person's hands: an upload is acknowledged once it
is durable; a worker checks and converts it, puts it into the bucket and its URL into the form.

Where GET is answered, HEAD is too. Errors are problem details (RFC 9457) with a stable `code`."""
_INTERNAL = """The worker's only way to the record. Never publish this listener."""


def create_public_app(services: Services) -> ASGIApp:
    routes = (form_types, forms, events, html_forms, uploads, tus, filepond)
    modules = (*routes, operations, docs, pages)
    path, public = path_of(services.settings.public_url)
    app = _app("Longshore", _PUBLIC, services, "public", *modules)
    app.servers = [{"url": public}] if path else []  # as seen from where the description is read
    cookied = OnlyCookies(app, cookies_below(public))
    timed = TimeAcknowledgements(HeadAsGet(cookied), services.metrics)
    gate = RefuseWhenStopping(timed, services.stopping, services.metrics)
    settings = services.settings
    refused = refusals(services, "public")
    shared = ShareRequests(gate, settings.max_connections_per_client, refused)
    judged = RequestId(KnowClient(DrainUnread(RefuseHead(shared, refused)), settings.proxies))
    whole = with_cors(SpeakTus(judged), settings.cors_origins, settings.cors_headers)
    watched = WatchLoop(whole, services.watchdog, app.state.routes)
    return BelowPath(watched, path, public, app.routes) if path else watched


def create_internal_app(services: Services) -> ASGIApp:
    modules = (internal, watching, docs)
    app = _app("Longshore, internal", _INTERNAL, services, "internal", *modules)
    app.state.backlog = Backlog(services.database, services.settings)
    refused = refusals(services, "internal")
    whole = ReadWhole(HeadAsGet(OnlyCookies(app, ())), services.settings.pace, refused)
    judged = RefuseHead(whole, refused)
    return WatchLoop(RequestId(DrainUnread(judged)), services.watchdog, app.state.routes)


def refusals(services: Services, listener: str) -> Callable[[str], None]:
    """What counts the problems that a listener answers with, by their code."""
    return lambda code: services.metrics.refusal(listener, code)


def _app(
    title: str, description: str, services: Services, listener: str, *modules: ModuleType
) -> FastAPI:
    app = FastAPI(
        title=title,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own tells a collector the texts of errors, and looks for one at each request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    for module in modules:
        # The routes themselves: a router that is included is searched twice for each request.
        app.router.routes += map(_named, module.router.routes)
    app.router.routes += [*browser_module(), *static_files()]
    # What is asked all the time is looked for first.
    app.router.routes.sort(key=lambda route: not isinstance(route, PlainRoute))
    routes = [route for module in modules for route in module.router.routes]
    problems.install(app, routes, refusals(services, listener))
    document.install(app, description)
    return app


def _named(route: BaseRoute) -> BaseRoute:
    """A route that the description calls as its function is called: so do links and clients."""
    if isinstance(route, APIRoute):
        route.unique_id = route.name
    return route
