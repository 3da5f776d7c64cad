"""Cascade's config.yaml, as published and as people edit it."""

import pytest

from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.published_config import read_published_config, to_model_config
from tests.support.cascade_files import CascadeSpec, write_config


@pytest.fixture
def write(tmp_path):
    def _write(edit=lambda text: text, **changes):
        path = tmp_path / "config.yaml"
        write_config(path, CascadeSpec().but(**changes))
        path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
        return path

    return _write


def as_model(published):
    return to_model_config(
        published, name=published.name, noise_levels=published.noise_levels, ensemble_size=2, extra={}
    )


def test_every_entry_arrives(write):
    spec = CascadeSpec()
    model = as_model(read_published_config(write(rate=7.5)))
    assert model.name == spec.name
    assert model.model_rates_hz == (7.5, 7.5)
    assert (model.smoothing_s, model.kernel) == (0.05, "gaussian")
    assert model.noise_levels == (2.0, 3.0)
    assert (model.window_size, model.before_frames) == (16, 8)
    assert model.network == {"filter_sizes": [5, 3, 2], "filter_numbers": [3, 4, 5], "dense_width": 2}
    assert model.training_datasets == spec.datasets
    assert model.indicators == ("GCaMP6f", "GCaMP6s")
    assert model.licence.startswith("GPL-3.0")
    assert "Rupprecht" in model.citation
    assert model.extra["published_config"]["optimizer"] == "Adagrad"
    assert model.from_json(model.to_json()) == model


@pytest.mark.parametrize(
    "window, fraction, trained, published",
    [
        (64, 0.5, 32, 31),
        (64, 0.984375, 63, 62),
        (64, 0.984, 63, 61),
        (64, 0.875, 56, 55),
        (100, 0.29, 29, 27),
        (68, 0.5, 34, 33),
        (65, 0.5, 32, 31),
    ],
)
def test_asymmetric_windows_name_the_frame_trained_for_and_the_one_published(
    write, window, fraction, trained, published
):
    config = read_published_config(write(window=window, before_frac=fraction))
    assert config.before_frames == trained
    assert config.published_before_frames == published
    assert as_model(config).extra["published_before_frames"] == published


def test_causal_kernel(write):
    assert as_model(read_published_config(write(causal=1))).kernel == "causal"


def test_models_older_than_the_causal_kernel_are_gaussian(write):
    path = write(lambda text: text.replace("causal_kernel: 0\n", ""))
    assert as_model(read_published_config(path)).kernel == "gaussian"


def test_indicators_of_the_name_serve_where_the_datasets_state_none(write):
    published = read_published_config(write(name="GC8s_EXC_30Hz_smoothing50ms", datasets=("mine",)))
    assert as_model(published).indicators == ("jGCaMP8s",)


def test_a_name_that_contradicts_the_entries_is_recorded_and_the_entries_count(write):
    model = as_model(read_published_config(write(smoothing=0.2)))
    assert model.smoothing_s == 0.2
    assert model.extra["name_disagrees"] == ["The name says smoothing 0.05 s, the configuration 0.2 s."]


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("sampling_rate: ", "sampling_rate:\t"),
        lambda text: text.replace("- 5\n", "-\t5\t# first\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("smoothing: 0.05", "smoothing: 5e-2"),
        lambda text: text.replace("windowsize: 16", "windowsize: 16.0"),
        lambda text: text.replace("noise_levels:\n- 2\n- 3\n", "noise_levels: [3, 2, 3]\n"),
        lambda text: text + "anything_else: 2020-01-01\n",
    ],
    ids=["tab", "tab-in-list", "bom", "crlf", "exponent", "float", "flow-list", "date"],
)
def test_hand_edited_files_read_the_same(write, edit):
    path = write(edit)
    model = as_model(read_published_config(path))
    assert model.noise_levels == (2.0, 3.0)
    assert model.model_rates_hz == (30.0, 30.0)
    assert model.network["filter_sizes"] == [5, 3, 2]
    assert model.smoothing_s == 0.05
    assert model.from_json(model.to_json()) == model


def test_comments_that_are_not_utf8_do_no_harm(write):
    path = write()
    path.write_bytes(path.read_bytes().replace(b"# Name of the model", b"# 5 \xb5m"))
    assert read_published_config(path).window_size == 16


def test_a_single_noise_level_need_not_be_a_list(write):
    path = write(lambda text: text.replace("noise_levels:\n- 2\n- 3\n", "noise_levels: 4\n"))
    assert read_published_config(path).noise_levels == (4.0,)


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "sampling_rate: 30.0",
            "sampling_rate: YOUR_SAMPLING_RATE",
            "sampling_rate as a finite number, received 'YOUR",
        ),
        ("sampling_rate: 30.0", "sampling_rate: .nan", "sampling_rate as a finite number, received nan"),
        ("windowsize: 16", "windowsize: 16.5", "windowsize as a whole number, received 16.5"),
        ("windowsize: 16", "", "the entry windowsize in .*config.yaml"),
        ("before_frac: 0.5", "before_frac: 1.0", "inside the window of 16 frames, received 1.0"),
        ("dense_expansion: 2", "dense_expansion: !!python/name:os.system x", "Expected YAML in .*config.yaml"),
        ("windowsize: 16", "windowsize: [", "Expected YAML in .*config.yaml"),
        ("windowsize: 16", "windowsize: 1000000000000", "windowsize of .* from 1 to 100000, received 1000000000000"),
        ("before_frac: 0.5", "before_frac: 1.0e+308", "before_frac of .* from 0 to 1, received 1e.308"),
        ("smoothing: 0.05", "smoothing: 1.0e+9", "smoothing of .* from 0 to 10, received 1000000000.0"),
        ("windowsize: 16", "windowsize: 2001-13-01", "Expected YAML in .*config.yaml, .*month must be in 1..12"),
    ],
)
def test_a_bad_entry_is_named_with_its_file(write, old, new, message):
    with pytest.raises(ModelFileError, match=message):
        read_published_config(write(lambda text: text.replace(old, new)))


def test_noise_levels_without_end_are_refused_in_one_line(write):
    levels = ", ".join(map(str, range(1, 20_000)))
    path = write(lambda text: text.replace("noise_levels:\n- 2\n- 3\n", f"noise_levels: [{levels}]\n"))
    with pytest.raises(ModelFileError, match=r"^Expected noise_levels of .*as 1 to 100 numbers .{0,100}$"):
        read_published_config(path)


def test_a_few_bytes_do_not_stand_for_gigabytes(write):
    bomb = "".join(f"x{n}: &x{n} [{', '.join(9 * [f'*x{n - 1}'])}]\n" for n in range(1, 30))
    with pytest.raises(ModelFileError, match=r"Expected YAML in .*config\.yaml.*: an entry refers to another one\.$"):
        read_published_config(write(lambda text: f"{text}x0: &x0 [1]\n{bomb}"))


def test_a_file_without_entries_is_refused(write):
    with pytest.raises(ModelFileError, match=r"the configuration .*yaml to have named entries, received str"):
        read_published_config(write(lambda text: "just words"))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"there is no .*config\.yaml"):
        read_published_config(tmp_path / "config.yaml")
