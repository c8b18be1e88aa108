"""Calibrates a float32 model on a folder of pictures to a verified INT8 model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.observe.ranges import Ranges, observe
from calibration.options import CalibrationOptions
from calibration.prepare.freeze_excitation import freeze_excitation
from calibration.prepare.source import read_model
from calibration.prepare.tiles import Tile, manifest, sample_tiles
from calibration.report.markdown import Findings, chart, markdown
from calibration.search.best_mix import Gates, Halos, search
from calibration.search.layer_macs import layer_macs
from calibration.search.ledger import Ledger
from calibration.search.measure import as_file, mean_psnr_db
from calibration.search.mix import Mixer
from calibration.search.place import OPERATORS, find_layers
from calibration.search.receptive_field import receptive_field_px
from dggn.data.pairs import Pair, read_pairs
from dggn.onnx_graph.source import SourceModel
from dggn.onnx_graph.weight_storage import store_weights
from runtime.errors import ConfigError, ModelError
from runtime.model.info import PREFIX
from runtime.system.files import write_whole
from runtime.system.package import installed_version
from runtime.system.path_text import path_text
from runtime.system.terminal import OnProgress

if TYPE_CHECKING:
    import onnx

FROZEN_SHARE = 0.5
"""Share of the allowed drop of PSNR that replacing excitation gates with constants may take.
Computed gates cost more: seams then keep most layers in float."""

HELD_OUT = 5
"""One in this many pictures is held out for the gates, without a validation folder."""


def calibrate(
    model: Path,
    images: Path,
    output: Path,
    options: CalibrationOptions,
    *,
    validation: Path | None = None,
    on_progress: OnProgress,
) -> Findings:
    """Quantize a model, write it if it holds the gates, and report either way.

    Beside the output go its report (`.md`), a chart (`.png`), the manifest of the tiles
    (`.tiles.json`), and what was measured (`.ledger.json`), from which a stopped calibration
    goes on.

    Args:
        model: an ONNX file written by dggn-export.
        images: folder of HR pictures to calibrate on.
        output: the file to write.
        options: the settings.
        validation: folder of HR pictures for the gates; by default every fifth of `images`.
        on_progress: receives each step and its progress.

    Returns:
        The findings; `passes` tells whether the output was written.

    Raises:
        ModelError: the model cannot be quantized.
        ConfigError: the pictures or the tile size are unsuitable.
        ImageReadError: a picture cannot be decoded.
        BackendError: ONNX Runtime failed.
        TargetError: a file cannot be written.
    """
    original = read_model(model)
    if output.exists() and output.samefile(model):
        raise ConfigError(f"{output} is the model itself: choose another --output")
    multiple = original.info.size_multiple_px
    if options.tile_px % multiple:
        raise ConfigError(
            f"the tile size is {options.tile_px}: this model needs a multiple of {multiple}"
        )
    layers = find_layers(original.model)
    _check_prefixes(options.keep_float, [layer.name for layer in layers])
    candidates = [each for each in layers if not each.name.startswith(options.keep_float)]
    if not candidates:
        raise ModelError(f"{model} has no convolution that could become INT8")
    on_progress("reading pictures", 0.0)
    seen, held_out = _read_pictures(images, validation)
    tiles = sample_tiles(seen, count=options.tiles, tile_px=options.tile_px)
    checks = sample_tiles(held_out, count=options.held_out_tiles, tile_px=options.tile_px)
    on_progress("reading pictures", 1.0)
    used, checked = manifest(tiles), manifest(checks)
    ledger = Ledger(
        output.with_suffix(".ledger.json"),
        {
            "dggn": installed_version(),
            "model": original.sha256,
            "graph": _hash(original.model),
            "target": options.target,
            "method": options.method,
            "tiles": used["sha256"],
            "held_out": checked["sha256"],
            "pictures": [path_text(pair.name) for pair in held_out],
            "onnxruntime": _onnxruntime_version(),
        },
    )
    source, frozen_drop_db = _settle_excitation(
        original,
        tiles,
        held_out,
        ledger,
        on_progress,
        max_drop_db=FROZEN_SHARE * options.max_drop_db,
    )
    mixer = Mixer(
        original=original,
        source=source,
        ranges=_ranges(source, tiles, options, ledger, on_progress),
        target=options.target,
        tiles=checks,
        pairs=held_out,
        ledger=ledger,
    )
    gates = Gates(max_drop_db=options.max_drop_db, max_seam_levels=options.max_seam_levels)
    findings = Findings(
        model=model.name,
        output=output.name,
        target=options.target,
        method=options.method,
        gates=gates,
        tiles=tuple(tiles),
        manifest_sha256=used["sha256"],
        validation=f"{len(held_out)} pictures of {validation.name if validation else 'the folder'}",
        frozen_drop_db=frozen_drop_db,
        is_frozen=source is not original,
        layers=tuple(candidates),
        pinned=tuple(each.name for each in layers if each not in candidates),
        outcome=search(
            mixer,
            candidates,
            layer_macs(source.model, candidates, source.info),
            gates,
            Halos(
                least_px=source.info.halo_px,
                exact_px=receptive_field_px(source, options.max_halo_px),
            ),
            on_progress,
        ),
    )
    picture = output.with_suffix(".png")
    files = {
        output.with_suffix(".tiles.json"): json.dumps(used, indent=1).encode(),
        picture: chart(findings),
        output.with_suffix(".md"): markdown(findings, picture.name).encode(),
    }
    if findings.passes:
        files[output] = _finished(mixer, findings).SerializeToString()
    for path, content in files.items():
        write_whole(path, content)
    return findings


def _check_prefixes(prefixes: Sequence[str], names: Sequence[str]) -> None:
    """Refuse a prefix that no layer's name has.

    Raises:
        ConfigError: there is one.
    """
    for prefix in prefixes:
        if not prefix or not any(name.startswith(prefix) for name in names):
            raise ConfigError(
                f"--keep-float {prefix!r} is the beginning of no layer's name; there are "
                f"{', '.join(names[:3])} and others"
            )


def _read_pictures(images: Path, validation: Path | None) -> tuple[list[Pair], list[Pair]]:
    pairs = read_pairs([images])
    if validation is not None:
        return pairs, read_pairs([validation])
    if len(pairs) < 2:
        raise ConfigError(
            f"{images} holds one picture, and some must be held out: "
            "add pictures, or name others with --validation"
        )
    held_out = pairs[::HELD_OUT]
    return [pair for number, pair in enumerate(pairs) if number % HELD_OUT], held_out


def _settle_excitation(
    original: SourceModel,
    tiles: Sequence[Tile],
    held_out: Sequence[Pair],
    ledger: Ledger,
    on_progress: OnProgress,
    *,
    max_drop_db: float,
) -> tuple[SourceModel, float | None]:
    """Freeze excitation if it costs little; return the model and the drop of the mean PSNR on Y."""
    frozen = freeze_excitation(original, tiles)
    if frozen is original:
        return original, None

    def measure() -> float:
        psnr_db = []
        for number, source in enumerate((original, frozen)):
            on_progress("freezing squeeze-and-excitation", number / 2)
            with as_file(source.model) as path:
                psnr_db.append(mean_psnr_db(path, held_out))
        on_progress("freezing squeeze-and-excitation", 1.0)
        return psnr_db[0] - psnr_db[1]

    drop_db = float(ledger.get("drop with frozen excitation", measure))
    return frozen if drop_db <= max_drop_db else original, drop_db


def _ranges(
    source: SourceModel,
    tiles: Sequence[Tile],
    options: CalibrationOptions,
    ledger: Ledger,
    on_progress: OnProgress,
) -> Ranges:
    def measure() -> dict[str, tuple[float, float]]:
        return observe(
            source.model,
            tiles,
            method=options.method,
            operators=OPERATORS[options.target],
            sample_type=source.info.sample_type,
            on_share=lambda share: on_progress("observing ranges", share),
        )

    return {name: (low, high) for name, (low, high) in ledger.get("ranges", measure).items()}


def _finished(mixer: Mixer, findings: Findings) -> onnx.ModelProto:
    """Return the final model: checked, compact, and with its metadata."""
    import onnx

    source, best = mixer.source, findings.outcome.best
    model = mixer.build(best.layers)
    store_weights(model, source.storages)
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    properties = {
        entry.key: entry.value
        for entry in source.model.metadata_props
        if entry.key.startswith(PREFIX)
    }
    properties[f"{PREFIX}precision"] = "int8"
    properties[f"{PREFIX}halo_px"] = str(best.halo_px)
    properties[f"{PREFIX}calibration"] = json.dumps(
        {
            "model_sha256": source.sha256,
            "tiles_sha256": findings.manifest_sha256,
            "target": findings.target,
            "method": findings.method,
            **asdict(findings.gates),
            "excitation": "frozen" if findings.is_frozen else "computed",
            "int8_layers": [layer.name for layer in best.layers],
        },
        sort_keys=True,
    )
    onnx.helper.set_model_props(model, properties)
    return model


def _hash(graph: onnx.ModelProto) -> str:
    return hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()


def _onnxruntime_version() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)
