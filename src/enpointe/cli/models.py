"""`enpointe models`: what weights there are, and getting them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from enpointe.cli import options as opt
from enpointe.cli.console import report
from enpointe.core.files import check_file
from enpointe.core.progress import ProgressBar


def add_parser(commands: opt.Commands[Any]) -> None:
    parser = commands.add_parser(
        "models", allow_abbrev=False,
        description="The released Point-E checkpoints by name, in the cache that ENPOINTE_CACHE names.",
    )  # fmt: skip
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all models, and which are here", allow_abbrev=False)
    _finish(listing, run_list)

    show = actions.add_parser("show", help="one model, and where its weights are from", allow_abbrev=False)
    show.add_argument("name", metavar="NAME")
    _finish(show, run_show)

    download = actions.add_parser("download", help="bring a checkpoint into the cache", allow_abbrev=False)
    download.add_argument("name", metavar="NAME")
    download.add_argument(
        "--again", action="store_true", help="even if it is there; a former checksum no longer counts"
    )
    _finish(download, run_download)

    take = actions.add_parser("import", help="take a checkpoint's file into the cache", allow_abbrev=False)
    take.add_argument("file", metavar="FILE", help="a released .pt file, or the same as .safetensors")
    take.add_argument("--as", dest="name", metavar="NAME", required=True, help="which model's weights it holds")
    _finish(take, run_import)

    export = actions.add_parser(
        "export", help="write a checkpoint as a file of the release", allow_abbrev=False,
        description="Writes the release's state dict with its key names, as the release's code loads it.",
    )  # fmt: skip
    export.add_argument("name", metavar="NAME")
    export.add_argument(
        "--weights", metavar="FILE", help="what was trained from it (default: the checkpoint itself, in the cache)"
    )
    export.add_argument(
        "--out", metavar="FILE", help="a .pt or .safetensors file (default: the release's file name, here)"
    )
    _finish(export, run_export)


def _finish(parser: argparse.ArgumentParser, run: Any) -> None:
    opt.add_json(parser)
    parser.set_defaults(run=run)


def run_list(options: argparse.Namespace) -> None:
    from enpointe.checkpoints.registry import all_models

    facts = [describe(spec.name) for spec in all_models()]
    width = max(len(fact["name"]) for fact in facts)
    lines = [f"{fact['name']:{width}}  {_place(fact):>20}  {fact['about']}" for fact in facts]
    report("\n".join(lines), {"cache": _cache(), "models": facts}, options.json)


def run_show(options: argparse.Namespace) -> None:
    fact = describe(options.name)
    words = {key.replace("_", " "): value for key, value in fact.items() if value not in (None, [])}
    words["weights"] = _place(fact)
    for key in ("inputs", "stages", "presets", "nouns"):
        if key in words:
            words[key] = ", ".join(words[key])
    if fact["presets"]:
        words["knows"] = words.pop(
            "nouns", "an open vocabulary" if "text" in fact["inputs"] else "what its images show"
        )
    lines = [
        f"{key:{max(map(len, words))}}  {line}"
        for key, value in words.items()
        for line in (value if isinstance(value, list) else [value])
    ]
    report("\n".join(lines), fact, options.json)


def run_download(options: argparse.Namespace) -> None:
    from enpointe.checkpoints.hub.download import fetch

    with ProgressBar() as bar:
        path = fetch(options.name, again=options.again, report=bar)
    report(f"{options.name}: {path}", describe(options.name), options.json)


def run_import(options: argparse.Namespace) -> None:
    from enpointe.checkpoints.hub.download import import_file

    with ProgressBar() as bar:
        import_file(Path(options.file), options.name, bar)
    fact = describe(options.name)
    report(f"{options.name}: {fact['file']}", fact, options.json)


def run_export(options: argparse.Namespace) -> None:
    from enpointe.checkpoints.hub.cache import weights_path
    from enpointe.checkpoints.registry import released_file

    name = options.name
    target = Path(released_file(name).file if options.out is None else options.out)
    weights = None if options.weights is None else Path(options.weights)
    source = weights or weights_path(name)
    if source.is_file():
        check_file(target, source.stat().st_size)
    from enpointe.checkpoints.loading import export_released

    export_released(name, target, weights)
    report(f"wrote {target}", {"name": name, "file": str(target)}, options.json)


def describe(name: str) -> dict[str, Any]:
    """What is known of a model without reading its weights: JSON values, sizes in bytes."""
    from enpointe.checkpoints.hub.addresses import MIRRORS
    from enpointe.checkpoints.hub.cache import read_pin, weights_path
    from enpointe.checkpoints.registry import MODELS

    spec = MODELS[name]
    facts: dict[str, Any] = {
        "name": name, "about": spec.about, "inputs": list(spec.inputs), "stages": list(spec.stages),
        "presets": list(spec.presets) if spec.pipeline else [], "nouns": [names[0] for names in spec.nouns],
        "embedded": spec.released is None,
    }  # fmt: skip
    if spec.released is None:
        files = [path for path in spec.paths if path.is_file()]
        return facts | {
            "parameters": None, "file": [str(path) for path in files],
            "bytes": sum(path.stat().st_size for path in files), "download_bytes": None, "sha256": None,
            "source": None, "source_sha256": None, "addresses": None,
        }  # fmt: skip
    path = weights_path(name)
    here = path.is_file()
    pin = read_pin(name) if here else None
    return facts | {
        "parameters": spec.released.parameters, "file": str(path) if here else None,
        "bytes": path.stat().st_size if here else None, "download_bytes": spec.released.n_bytes,
        "sha256": pin and pin.sha256, "source": pin and pin.source, "source_sha256": pin and pin.source_sha256,
        "addresses": [base + spec.released.file for base in MIRRORS],
    }  # fmt: skip


def _cache() -> str:
    from enpointe.checkpoints.hub.cache import cache_dir

    return str(cache_dir())


def _place(fact: dict[str, Any]) -> str:
    if fact["bytes"] is None:
        return f"not here ({fact['download_bytes'] / 1e6:,.0f} MB)"
    return f"{fact['bytes'] / 1e6:,.0f} MB{', embedded' if fact['embedded'] else ''}"
