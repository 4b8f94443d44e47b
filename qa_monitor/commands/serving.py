"""``qa-monitor serve``: the pages and their API."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qa_monitor.commands.common import JsonFlag, monitor_of, print_json, say
from qa_monitor.errors import ConfigError

if TYPE_CHECKING:
    from qa_monitor.config import WebSettings

__all__ = ["serve"]


def serve(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; else web.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0: any free; else web.port.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="PEM file; else web.tls_certificate.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file; else web.tls_key.")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option(help="A proxy on this machine does TLS; else web.behind_proxy.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Serve the pages for reviewers, coaches, supervisors and agents until stopped."""
    import uvicorn

    from qa_monitor.retention import DailyRetention
    from qa_monitor.web import create_app

    with monitor_of(ctx) as monitor:
        given = {
            "host": host,
            "port": port,
            "tls_certificate": tls_certificate,
            "tls_key": tls_key,
            "behind_proxy": behind_proxy,
        }
        said = {name: value for name, value in given.items() if value is not None}
        settings = monitor.config.web.model_copy(update=said)
        check_exposure(settings)
        monitor.config = monitor.config.model_copy(update={"web": settings})
        app = create_app(monitor)
        if not monitor.store.people.users():
            say("Nobody can sign in yet. Make a user: qa-monitor users add NAME --role admin")
        listening = _listen(settings.host, settings.port)
        scheme = "https" if settings.tls_certificate else "http"
        place = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{scheme}://{place}:{listening.getsockname()[1]}"
        if as_json:
            print_json({"address": address})
            sys.stdout.flush()
        say(f"Serving on {address} - stop with Ctrl-C.")
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                ssl_certfile=settings.tls_certificate,
                ssl_keyfile=settings.tls_key,
                proxy_headers=settings.behind_proxy,
                forwarded_allow_ips="127.0.0.1,::1",
                access_log=False,
                server_header=False,
                log_level="warning",
                timeout_graceful_shutdown=10,
            )
        )
        # Alerts and their reminders go out while the pages are served, whoever raised them.
        courier = monitor.courier(report=lambda problem: say(problem.message))
        retention = DailyRetention(monitor.keeper, report=lambda problem: say(problem.message))
        courier.start()
        retention.start()
        try:
            server.run(sockets=[listening])
        finally:
            retention.stop()
            courier.stop()


def check_exposure(settings: WebSettings) -> None:
    """Raises ``ConfigError`` where pages would go over a network in the clear, or TLS cannot be."""
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise ConfigError("set web.tls_certificate and web.tls_key together.")
    for path in (settings.tls_certificate, settings.tls_key):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path} is not there. Correct web.tls_certificate and web.tls_key.")
    if settings.tls_certificate is None and not _is_loopback(settings.host):
        why = " The proxy reaches 127.0.0.1." if settings.behind_proxy else ""
        raise ConfigError(
            f"web.host {settings.host} is open to the network, and there is no TLS.{why} Set "
            "web.tls_certificate and web.tls_key, or listen on 127.0.0.1 behind a proxy that does "
            "TLS (web.behind_proxy)."
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    problem = ""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.socket(family)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    if problem:
        raise ConfigError(
            f"cannot listen on {host} port {port} ({problem}). Choose another with --port, or "
            "stop what listens there."
        )
    return listening
