"""`python -m loop_bench.seqgan`: trains on a script or on synthetic lines, and generates new lines."""

from __future__ import annotations

import dataclasses
import enum
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from loop_bench import extras
from loop_bench.seqgan import device
from loop_bench.seqgan.config import PRESETS, Config
from loop_bench.seqgan.device import CompileCache, CompileCacheError
from loop_bench.seqgan.errors import InputError, NonFiniteUpdatesError
from loop_bench.seqgan.script import ScriptFile
from loop_bench.seqgan.table import DELIMITERS

app = typer.Typer(
    help="Trains a conditional SeqGAN on the lines of a script (or on synthetic lines), and generates new lines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()

# Config fields that may change when a run resumes: its length, and how it is executed.
_ADJUSTABLE = ("mle_epochs", "d_epochs", "epochs", "window", "jit_compile", "replicas")


class LoopName(str, enum.Enum):
    """The training loops."""

    optimized = "optimized"
    baseline = "baseline"

    __str__ = str.__str__  # as in enum.StrEnum, which Python has from 3.11 on


@app.command()
def train(
    loop: Annotated[LoopName | None, typer.Option(help="Default: optimized.")] = None,
    preset: Annotated[
        str | None, typer.Option(help=f"{', '.join(PRESETS)}. Default: script on a GPU, paper on a CPU.")
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            help="CSV, TSV or JSON Lines file with character, text and, if it has scenes, scene. "
            "Default: synthetic lines from an oracle."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE=COLUMN,...",
            help="Columns (or keys) of the script with the character, the scene and the text, if they have other "
            "names.",
        ),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            help=f"Separator of the script's columns: a character, or {', '.join(DELIMITERS)}. "
            "Default: comma; for .tsv, tab."
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the script: latin-1, windows-1252, utf-16, ... Default: utf-8.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoint.npz and history.csv.")] = Path("runs/seqgan"),
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the checkpoint in --out.")] = False,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, batches and draws. Default: 0.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A config field, e.g. `--set epochs=50`; may be repeated."),
    ] = None,
    cache_folder: Annotated[
        Path | None,
        typer.Option(
            "--compile-cache",
            metavar="DIR",
            help="Folder for programs compiled by XLA for the CPU, reused by later runs. "
            "Default: loop-bench/xla in your cache folder.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-compile-cache", help="Neither use nor keep compiled programs.")
    ] = False,
) -> None:
    """Train the generator alone, the discriminator alone, then both adversarially; saves a checkpoint every epoch.

    🎯 marks a discriminator that classifies over 70% of the lines correctly: the generator does not fool it yet.

    Ctrl-C loses only the epoch in progress: --resume continues after the last complete epoch.

    Example: python -m loop_bench.seqgan train --script hamlet.csv --out runs/hamlet --set mle_epochs=40

    Example: python -m loop_bench.seqgan train --script lines.csv --columns character=Speaker,text=Line --delimiter ';'
    """
    if no_cache and cache_folder:
        raise InputError(f"--compile-cache {cache_folder}: cannot be combined with --no-compile-cache; leave one out")
    from loop_bench.seqgan.checkpoint import FILE, Checkpoint

    overrides = _parse_settings(settings or [])
    written = {"columns": columns, "delimiter": delimiter, "encoding": encoding}
    of_script = {name: value for name, value in {"script": script, **written}.items() if value is not None}
    unwanted = no_cache or overrides.get("jit_compile") is False
    cache = None if unwanted else CompileCache(cache_folder or device.default_cache_parent())
    if resume:
        checkpoint = Checkpoint.load(out)
        given = {"--loop": loop, "--preset": preset, "--seed": seed}
        _refuse_changes(given, overrides)
        config = Config.from_dict({**checkpoint.config.to_dict(), **overrides})
        kept = checkpoint.script.to_options() if checkpoint.script else {}
        source, _ = ScriptFile.taken_from({**kept, **of_script})
        loop_name = checkpoint.loop
    else:
        if (out / FILE).exists():
            raise InputError(f"--out {out}: contains a run already; add --resume to continue it, or use another folder")
        checkpoint = None
        source, _ = ScriptFile.taken_from(of_script)
        config = _config(preset, seed, overrides, cache)
        loop_name = loop or LoopName.optimized
    _train(config, source, str(loop_name), out, checkpoint, cache)


def _config(preset: str | None, seed: int | None, overrides: dict[str, Any], cache: CompileCache | None) -> Config:
    if preset is None:
        Config.from_dict(overrides)  # report mistakes before TensorFlow starts
        _start_tensorflow(cache)
        preset = device.default_preset()
    return Config.preset(preset, **{**overrides, **({} if seed is None else {"seed": seed})})


def _refuse_changes(given: dict[str, Any], overrides: dict[str, Any]) -> None:
    for option, value in given.items():
        if value is not None:
            raise InputError(f"{option} {value}: cannot be changed with --resume; the checkpoint determines it")
    for name in overrides:
        if name not in _ADJUSTABLE:
            raise InputError(f"--set {name}: cannot be changed with --resume; only {', '.join(_ADJUSTABLE)} can")


def _train(
    config: Config, script: ScriptFile | None, loop: str, out: Path, checkpoint: Any, cache: CompileCache | None
) -> None:
    from loop_bench.seqgan import dataset
    from loop_bench.seqgan.checkpoint import resume_command

    # Check the input before TensorFlow starts, which takes seconds; reading a script does not need TensorFlow.
    data = dataset.load(config, script) if script else None
    _make_folder(out)
    _start_tensorflow(cache)
    from loop_bench.seqgan import replicas
    from loop_bench.seqgan.display import TrainingDisplay, summarise
    from loop_bench.seqgan.interrupt import Interrupt
    from loop_bench.seqgan.training import Training

    replicas.reserve_devices(config)
    if data is None:
        with console.status("drawing synthetic lines from the oracle"):
            data = dataset.load(config)
    if checkpoint and data.vocabulary != checkpoint.vocabulary:
        raise InputError(f"script {script}: its words, characters or scenes differ from those of the checkpoint")
    sizes = data.sizes
    console.print(
        f"{loop} loop on {device.device_name()}\n{len(data.tokens)} lines, {sizes.vocabulary} words, "
        f"{sizes.characters} characters, {sizes.scenes} scenes; {data.batches_per_epoch(config.batch_size)} batches "
        f"of {config.batch_size} per epoch; output in {out}",
        soft_wrap=True,
        highlight=False,
    )
    try:
        with Interrupt() as interrupt, TrainingDisplay(console, interrupt.check) as display:
            training = Training(config, data, loop, script, out, display, checkpoint)
            training.run()
    except KeyboardInterrupt:
        _complain(f"interrupted; resume with: {resume_command(out)}")
        raise typer.Exit(130) from None
    finally:
        compiled = cache.describe(cache.close()) if cache else None
    summarise(console, training, out, compiled)


def _start_tensorflow(cache: CompileCache | None = None) -> None:
    with console.status("starting TensorFlow"):
        try:
            if cache:
                cache.open()
        except CompileCacheError as error:
            _complain(f"compiling without a cache: {error}")
        device.start_tensorflow()


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except FileExistsError:
        raise InputError(f"--out {out}: is a file; must be a folder, which need not exist yet") from None
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None


@app.command()
def sample(
    checkpoint: Annotated[Path, typer.Option(help="Folder given as `train --out`.")],
    character: Annotated[str, typer.Option(help="Name of the speaking character, as in the script.")],
    scene: Annotated[
        str | None, typer.Option(help="Name of the scene, as in the script. Default: the only scene.")
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of lines.")] = 5,
    temperature: Annotated[float, typer.Option(help="Below 1: likelier words; above 1: more surprising words.")] = 0.8,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same lines.")] = 0,
) -> None:
    """Print lines that a character might say in a scene.

    Example: python -m loop_bench.seqgan sample --checkpoint runs/hamlet --character Hamlet --scene 3.1 -n 5
    """
    if not 0 < temperature < float("inf"):
        raise InputError(f"--temperature {temperature}: must be a positive finite number")
    from loop_bench.seqgan.checkpoint import Checkpoint

    loaded = Checkpoint.load(checkpoint)
    loaded.vocabulary.character_id(character)
    scene = loaded.vocabulary.only_scene() if scene is None else scene
    loaded.vocabulary.scene_id(scene)
    _start_tensorflow()
    from loop_bench.seqgan.networks import write_lines

    for line in write_lines(loaded, character, scene, count, temperature, seed):
        typer.echo(line)


def _parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Config fields from FIELD=VALUE texts, converted to the types of the fields."""
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: must be FIELD=VALUE, e.g. --set epochs=50")
        parsed[name] = _parse_value(text, defaults.get(name))
    return parsed


def _parse_value(text: str, default: Any) -> Any:
    """Converts `text` to the type of `default`; text that does not fit is returned, for the config to refuse."""
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, tuple):
        return tuple(_parse_value(part, 0) for part in text.split(","))
    for kind in (int, float):
        if isinstance(default, kind):
            try:
                return kind(text)
            except ValueError:
                return text
    return text


def main() -> int:
    """Runs a command; returns its exit code: 0 success, 1 training stopped, 2 wrong input, 130 interrupted."""
    try:
        extras.require("seqgan", "tensorflow")
        app()
    except (InputError, extras.MissingExtraError) as error:
        _complain(f"error: {error}")
        return 2
    except (NonFiniteUpdatesError, FloatingPointError) as error:
        _complain(f"training stopped: {error}")
        return 1
    return 0


def _complain(message: str) -> None:
    Console(stderr=True).print(message, soft_wrap=True, highlight=False, markup=False)
