"""From options to a running conversation: load the model, make sessions, close it in the end.

Between the command line and the other files of this folder; also the way in from Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from norcli.chat.engines import ModelDescription, Sampling
from norcli.chat.opening import describe_model, open_engine
from norcli.chat.options import ChatOptions
from norcli.chat.prompting import choose_template
from norcli.chat.session import Session
from norcli.chat.thinking import apply_mode
from norcli.console import Console


@contextmanager
def open_session(
    options: ChatOptions,
    console: Console,
    *,
    description: ModelDescription | None = None,
    keeps_prompt: bool = False,
    key: str | None = None,
) -> Iterator[Callable[[], Session]]:
    """Load the model of the options; give a function that makes empty sessions with it.

    Args:
        options: Of the command.
        console: For what the user should know.
        description: From `describe_model`, where the caller has it already.
        keeps_prompt: See `open_engine`.
        key: For a server that asks for one.

    Raises:
        NorcliError: The model cannot be loaded.
    """
    if description is None:
        description = describe_model(options.model, options.engine)
    template = choose_template(options.template, description)
    if template.name == "none" and options.template == "auto":
        console.info("the model has no chat template: it continues the text as it stands")
    sampling = Sampling(
        repeat_penalty=options.repeat_penalty, top_k=options.top_k, top_p=options.top_p,
        min_p=options.min_p, temperature=options.temperature or 0.0,
        max_new_tokens=options.max_new_tokens, seed=options.seed,
    )  # fmt: skip
    engine = open_engine(description, options, console, keeps_prompt=keeps_prompt, key=key)
    try:
        template, sampling = apply_mode(
            options.mode, template, sampling, vocabulary=engine.vocabulary,
            description=description, short_tokens=options.think_tokens,
        )  # fmt: skip

        def new_session() -> Session:
            session = Session(engine, template, sampling, system=options.system,
                              stops=options.stop)  # fmt: skip
            session.mode = options.mode
            return session

        yield new_session
    finally:
        engine.close()
