"""The whole command on the simulated set, small: tables, figures, page, resuming, what is refused."""

import csv
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

import nwb_cascade.spikefinder.run as running
import nwb_cascade.spikefinder.runner as stages
from nwb_cascade.cli import main
from nwb_cascade.models.library import load_model
from nwb_cascade.spikefinder import experiments, page
from nwb_cascade.spikefinder.settings import RunSettings
from nwb_cascade.training.conditional_bundle import take_members

SMALL = ("--window", "20", "--seeds", "1", "--training-windows", "300", "--held-out-windows", "100", "--epochs", "1",
         "--autoencoder-epochs", "1", "--tutorial-epochs", "1")  # fmt: skip
FIGURES = {"recordings", "windows", "confusion", "precision-recall", "errors", "toy", "reconstructions", "components",
           "explained", "normal"}  # fmt: skip
TINY = RunSettings(
    windows=(20,), seeds=1, n_training=200, n_held_out=60, epochs=1, autoencoder_epochs=1, n_tutorial=0, toy_epochs=1,
    units=4, n_latent=3, model="",
)  # fmt: skip

BUNDLED = "conditional-1-120Hz"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of the command on the simulated set."""
    out = tmp_path_factory.mktemp("spikefinder") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(experiments, "TOY_SAMPLES", 100)
        patched.setattr(running, "chosen_model", _one_network)
        result = CliRunner().invoke(main, ["spikefinder", "run", "--out", str(out), *SMALL])
    assert result.exit_code == 0, result.output
    return out, result


def _one_network(settings):
    """One of the five networks of the bundled model: compiling all takes longer than everything else."""
    model = load_model(BUNDLED)
    config, weights = take_members(model.config, model.weights, (0,))
    known = {**config.extra, "members": config.extra["members"][:1]}
    return replace(model, config=replace(config, extra=known), weights=weights)


def test_every_method_is_scored_on_training_and_held_out_windows(finished):
    out, run = finished
    rows = _rows(out / "scores.csv")
    found = {(row["method"], row["windows"]) for row in rows}
    methods = ("classifier", "autoencoder", "tutorial", "inference", "inference-shifted")
    assert found == {(m, w) for m in methods for w in ("training", "held-out", "held-out, per neuron")}
    for row in rows:
        counts = [int(row[name]) for name in ("true_positive", "false_negative", "false_positive", "true_negative")]
        assert float(row["accuracy"]) == pytest.approx((counts[0] + counts[3]) / sum(counts))
        assert abs(sum(counts[:2]) - sum(counts[2:])) <= 0.2 * sum(counts)
    assert "LSTM classifier\theld-out" in run.stdout


def test_spike_inference_tells_simulated_windows_better_than_chance(finished):
    rows = {(row["method"], row["windows"]): float(row["accuracy"]) for row in _rows(finished[0] / "summary.csv")}
    assert rows["inference", "held-out"] > 0.6


def test_all_figures_are_written_as_png_and_svg(finished):
    out, _ = finished
    assert {path.stem for path in (out / "figures").iterdir()} == FIGURES
    for name in FIGURES:
        assert (out / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / "figures" / f"{name}.svg").read_text()


def test_the_page_holds_tables_and_figures_and_needs_nothing_else(finished):
    out, _ = finished
    html = (out / page.PAGE).read_text()
    assert {*re.findall(r'<figure id="([^"]+)"', html)} == FIGURES
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "spike inference of this package" in html
    assert "0.222" in html  # what the tutorial reports, beside
    lines = (out / "explained_variance.csv").read_text().splitlines()
    assert lines[0] == "component,this_run,tutorial_recipe,tutorial_reported"
    assert len(lines) == 11


def test_run_again_a_finished_run_makes_the_same_tables_without_training(finished, monkeypatch):
    out, _ = finished
    before = (out / "scores.csv").read_bytes()
    monkeypatch.setattr(running, "chosen_model", _one_network)
    monkeypatch.setattr(running, "show", lambda out, _: out / page.PAGE)
    for name in ("run_classifier", "run_autoencoder", "run_tutorial", "run_toy", "infer_neurons"):
        monkeypatch.setattr(stages, name, lambda *_, **__: pytest.fail("made again"))
    result = CliRunner().invoke(main, ["spikefinder", "run", "--out", str(out), *SMALL])
    assert result.exit_code == 0, result.output
    assert (out / "scores.csv").read_bytes() == before


def test_the_folder_of_another_run_is_refused(finished, monkeypatch):
    out, _ = finished
    monkeypatch.setattr(running, "chosen_model", _one_network)
    arguments = [*SMALL[:-1], "2"]
    result = CliRunner().invoke(main, ["spikefinder", "run", "--out", str(out), *arguments])
    assert result.exit_code == 1
    assert "holds another run (settings" in result.output
    assert "tutorial_epochs" in result.output


def test_a_killed_run_goes_on_after_its_last_finished_stage(tmp_path, monkeypatch):
    done = []
    with monkeypatch.context() as patched:
        patched.setattr(stages, "run_autoencoder", _killed)
        with pytest.raises(KeyboardInterrupt):
            running.run(tmp_path / "out", settings=TINY)
    monkeypatch.setattr(stages, "run_classifier", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr(running, "show", lambda out, _: out / page.PAGE)
    result = running.run(tmp_path / "out", settings=TINY, progress=lambda *now: done.append(now))
    assert {one.method for one in result.scores} == {"classifier", "autoencoder"}
    assert done[-1][0] == done[-1][1]
    assert [now for now, _ in done] == sorted(now for now, _ in done)


def _killed(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--datasets", "DS99"], "Expected the datasets DS99"),
        (["--window", "20000"], "at least 20000 bins"),
        (["--window", "3"], "at least 5 bins"),
        (["--hold-out", "DS99"], "received DS99"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(tmp_path, arguments, message):
    no_model = [] if "--model" in arguments else ["--model", "none"]
    given = [*no_model, "--tutorial-epochs", "0", *arguments]
    result = CliRunner().invoke(main, ["spikefinder", "run", "--out", str(tmp_path / "out"), *given])
    assert result.exit_code == 1
    error = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(error) == 1
    assert message in error[0]


def _rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
