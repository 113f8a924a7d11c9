"""Write a corpus report in any of its forms: text, Markdown, JSON, HTML, and its drawings."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from norcli.console import Console
from norcli.corpus.report_options import LayoutOptions

if TYPE_CHECKING:
    from norcli.corpus.report import ReportInputs
    from norcli.corpus.runs import Runs
    from norcli.corpus.statistics import CorpusStatistics


def write_report(
    statistics: CorpusStatistics, runs: Runs, options: LayoutOptions, as_json: bool,
    console: Console,
) -> dict[str, Any]:  # fmt: skip
    """Write the report in the form asked for, and its drawings; return it as plain data.

    Args:
        statistics: The counts.
        runs: What is known of funnel and duplicates before --runs and --rejects are read.
        options: Form, files and title.
        as_json: Whether --json was given.
        console: Told of bad records among the rejects.

    Raises:
        NorcliError: A file of --runs or --rejects is wrong, or an output cannot be written.
    """
    from norcli.corpus.report import ReportInputs
    from norcli.corpus.report_json import report_data
    from norcli.corpus.runs import read_runs
    from norcli.streams import atomic_file

    runs = read_runs(options.runs, options.rejects, console, runs)
    inputs = ReportInputs(
        statistics, runs, options.title or "Corpus statistics", options.beside_report
    )
    form = options.chosen_format(as_json)
    data = report_data(inputs)
    content = _content(inputs, form, options, data, console)
    with atomic_file(options.output, overwrite=options.overwrite) as stream:
        stream.write(content.encode("utf-8"))
    return data


def _content(
    inputs: ReportInputs, form: str, options: LayoutOptions, data: dict[str, Any], console: Console
) -> str:
    """Return the report, after the drawings it may refer to are made."""
    from norcli.corpus.report import build_report

    report = build_report(inputs)
    drawings = None
    if options.plots is not None:
        from norcli.corpus.plots import draw_charts

        draw_charts(report, options.plots, options.plot_format, options.overwrite)
        drawings = f"{options.plots}/{{}}.{options.plot_format[0]}"
    if form == "json":
        return json.dumps(data, ensure_ascii=False, indent=1) + "\n"
    if form == "html":
        from norcli.corpus.html_report import to_html

        return to_html(report)
    if form == "markdown":
        from norcli.corpus.layout import to_markdown

        return to_markdown(report, drawings)
    from norcli.cli.report_text import report_text
    from norcli.streams import stdout_is_terminal

    shown = options.output == "-" and stdout_is_terminal()
    width = shutil.get_terminal_size().columns if shown else None
    return report_text(report, width, console.color == "always" or (shown and console.uses_color))
