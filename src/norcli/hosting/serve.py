"""An OpenAI-compatible HTTP server for a GGUF file: llama.cpp's own, with careful settings.

It runs inside this process through xllamacpp: ``/v1/chat/completions``, ``/v1/completions``,
``/v1/models`` and ``/health``, streaming included. Only this machine may ask unless another
address is named, and then only with a key. No web page, no endpoint that changes or shows what
others ask. Report section 3.4.3 (hosting).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from norcli.chat.engines import ModelDescription, context_size
from norcli.chat.gguf_model import describe_gguf
from norcli.console import Console
from norcli.errors import CannotCreateError, DataError, UsageError, missing_extra
from norcli.formats.gguf import MAGIC, GgufFile
from norcli.hosting.options import ServeOptions
from norcli.streams import open_input, stop_requests
from norcli.training.templates import chat_template_jinja

API_KEY_VARIABLE = "NORCLI_API_KEY"
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class ServePlan:
    """What will be served, checked before anything is loaded.

    Attributes:
        description: The model.
        name: What clients call it.
        keys: Keys of which a client must show one; none for no key.
        context: Tokens of each request.
    """

    description: ModelDescription
    name: str
    keys: list[str]
    context: int


def plan_server(options: ServeOptions, environment: Mapping[str, str]) -> ServePlan:
    """Check the model, the adapters, the address and the keys.

    Raises:
        InputMissingError: A file is not there.
        DataError: The model is no GGUF file, or an adapter is none.
        UsageError: Another address without a key, or an address that is none.
        CannotCreateError: The port is taken.
    """
    if Path(options.model).is_dir():
        raise DataError(
            "is a directory; serve takes a GGUF file", path=options.model,
            hint="norcli quantize makes one; for the directory itself: norcli export --for vllm",
        )  # fmt: skip
    description = describe_gguf(options.model)
    for path in options.adapter:
        if GgufFile(path).metadata.get("adapter.type") != "lora":
            raise DataError("is no GGUF LoRA adapter", path=path,
                            hint="norcli quantize ADAPTER_DIR -o FILE makes one")  # fmt: skip
    keys = _keys(options, environment)
    if not _is_local(options.host) and not keys and not options.no_key:
        raise UsageError(
            f"{options.host} is open to other machines, and no key is set",
            hint=f"give --api-key-file FILE or set {API_KEY_VARIABLE}; or say --no-key",
        )
    _check_port(options.host, options.port)
    name = options.alias or Path(options.model).stem
    return ServePlan(description, name, keys, context_size(description, options.context))


def _keys(options: ServeOptions, environment: Mapping[str, str]) -> list[str]:
    if options.api_key_file is None:
        key = environment.get(API_KEY_VARIABLE, "").strip()
        return [key] if key else []
    raw = open_input(options.api_key_file).read()
    if raw.startswith(MAGIC):
        raise DataError("is a model, not a file of keys", path=options.api_key_file)
    try:
        keys = [line.strip() for line in raw.decode("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError("is not UTF-8", path=options.api_key_file) from error
    if not keys:
        raise DataError("holds no key", path=options.api_key_file)
    return keys


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_port(host: str, port: int) -> None:
    """Try to listen, for llama.cpp does not say why it could not."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with closing(socket.socket(family, socket.SOCK_STREAM)) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
    except socket.gaierror:
        raise UsageError(f'--host: "{host}" is no address of this machine') from None
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "is taken" if error.errno == errno.EADDRINUSE else "needs more rights"
            raise CannotCreateError(f"port {port} on {host} {why}",
                                    hint="--port 0 takes one that is free") from error  # fmt: skip
        raise UsageError(f'--host: "{host}" is no address of this machine') from error


class ModelServer:
    """A running server.

    Args:
        options: Of the command.
        plan: From `plan_server`.
        talkative: Whether llama.cpp logs requests on standard error.

    Attributes:
        address: ``http://127.0.0.1:8080``.

    Raises:
        UnavailableError: xllamacpp is not installed.
        DataError: llama.cpp cannot run the model.
    """

    def __init__(self, options: ServeOptions, plan: ServePlan, *, talkative: bool = False) -> None:
        try:
            import xllamacpp
        except ModuleNotFoundError as error:
            raise missing_extra("xllamacpp", "chat") from error
        params = _parameters(xllamacpp, options, plan, talkative)
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            raise DataError("llama.cpp cannot serve it", path=options.model,
                            hint="give -v to see what it says") from error  # fmt: skip
        # A server let go before its loop has begun never ends (xllamacpp 2026.10); an answered
        # question shows that it has begun.
        self._server.handle_metrics()
        self.address = str(self._server.listening_address)

    def close(self) -> None:
        """Stop answering and let go of the model; answers under way are cut off."""
        # llama.cpp waits half a minute for clients that still listen (xllamacpp 2026.10).
        _cut_connections(int(self.address.rpartition(":")[2]))
        self._server = None


def _cut_connections(port: int) -> None:
    """End this process's connections with clients of a port."""
    for name in os.listdir("/dev/fd"):
        try:
            connection = socket.socket(fileno=os.dup(int(name)))
        except OSError:  # no socket, or gone already
            continue
        with closing(connection), suppress(OSError):
            here = connection.getsockname()
            if isinstance(here, tuple) and here[1] == port and connection.getpeername():
                connection.shutdown(socket.SHUT_RDWR)


def _parameters(xllamacpp: Any, options: ServeOptions, plan: ServePlan, talkative: bool) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {plan.name}
    params.hostnames, params.port = [options.host], options.port
    params.api_keys = plan.keys
    params.cors_origins = options.cors_origin or ""
    params.cors_credentials = False
    params.n_parallel = options.parallel
    params.n_ctx = plan.context * options.parallel
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.jobs or 1
    params.n_threads_http = 2 + options.parallel
    params.warmup, params.ui, params.endpoint_slots = False, False, False
    params.endpoint_metrics, params.endpoint_props = True, False
    params.verbosity = 4 if talkative else -1
    if options.template != "auto":
        params.chat_template = chat_template_jinja(options.template)
    adapters = []
    for path in options.adapter:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = path, 1.0
        adapters.append(adapter)
    if adapters:
        params.lora_adapters = adapters
    return params


def serve(options: ServeOptions, plan: ServePlan, console: Console) -> int:
    """Serve until a signal asks to stop; return its number.

    Raises:
        NorcliError: As `ModelServer`.
    """
    server = ModelServer(options, plan, talkative=console.level > 1)
    guard = "with a key" if plan.keys else "without a key"
    console.say(f"{plan.name} at {server.address}/v1, {guard}; Ctrl-C ends it")
    wait = threading.Event()
    with stop_requests() as stop:
        while not stop.requested:
            wait.wait(_POLL_SECONDS)
    server.close()
    return int(stop.signum or 0)
