"""Layers on hand-made examples, losses against numpy, the autoencoder's methods, the toy, saving."""

import keras
import numpy as np
import pytest

from nwb_cascade.spikefinder.autoencoder import (
    VariationalAutoencoder,
    build_autoencoder,
    build_toy_autoencoder,
    fit_autoencoder,
)
from nwb_cascade.spikefinder.classifier import build_classifier, classifier_logits, fit_classifier
from nwb_cascade.spikefinder.layers import (
    Delta,
    GaussianLatent,
    Quadratic,
    bins_per_step,
    feature_scale,
    gaussian_divergence,
    window_features,
)


def as_numpy(value):
    return keras.ops.convert_to_numpy(value)


def test_delta_is_the_first_difference_with_a_zero_in_front():
    given = np.array([[[1.0, 5.0], [4.0, 5.0], [2.0, 7.0]]], np.float32)
    np.testing.assert_array_equal(as_numpy(Delta()(given)), [[[0, 0], [3, 0], [-2, 2]]])


def test_quadratic_squares():
    np.testing.assert_array_equal(as_numpy(Quadratic()(np.array([[[-3.0], [0.5]]]))), [[[9.0], [0.25]]])


@pytest.mark.parametrize("size", [5, 20, 64, 67, 200])
def test_steps_of_the_recurrent_layer_hold_every_bin(size):
    assert size % bins_per_step(size) == 0
    window = keras.Input((size,))
    model = keras.Model(window, window_features(window, size))
    values = np.random.default_rng(0).normal(size=(2, size)).astype(np.float32)
    features = as_numpy(model(values)).reshape(2, size, 3)
    np.testing.assert_allclose(features[..., 0], values, rtol=1e-6)
    np.testing.assert_allclose(features[:, 1:, 1], np.diff(values), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(features[..., 2], values**2, rtol=1e-5)


def test_scaled_features_have_mean_0_and_variance_1_over_the_training_windows():
    values = np.random.default_rng(0).normal(1, 3, size=(500, 20)).astype(np.float32)
    window = keras.Input((20,))
    features = as_numpy(keras.Model(window, window_features(window, 20, feature_scale(values)))(values))
    features = features.reshape(500, 20, 3)
    np.testing.assert_allclose(features[..., [0, 2]].mean(axis=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(features[..., [0, 2]].std(axis=(0, 1)), 1, rtol=1e-4)
    np.testing.assert_allclose(features[:, 1:, 1].std(), 1, rtol=1e-4)


def test_the_loss_of_the_classifier_is_the_cross_entropy_of_its_logit():
    values = np.random.default_rng(0).normal(size=(8, 20)).astype(np.float32)
    labels = np.arange(8) % 2 == 0
    keras.utils.set_random_seed(0)
    model = build_classifier(20, units=4)
    logits = classifier_logits(model, values).astype(np.float64)
    expected = np.mean(np.log1p(np.exp(logits)) - labels * logits)
    assert fit_classifier(model, values, labels, epochs=1, learning_rate=0.0)[0] == pytest.approx(expected, rel=1e-5)


def test_the_classifier_learns_what_its_features_show():
    generator = np.random.default_rng(0)
    labels = generator.random(400) < 0.5
    values = generator.normal(0, 0.3, (400, 20)).astype(np.float32)
    values[labels, 10:] += 1.0
    keras.utils.set_random_seed(0)
    model = build_classifier(20, units=8, scale=feature_scale(values))
    fit_classifier(model, values, labels, epochs=8, batch_size=64, learning_rate=1e-2)
    assert np.mean((classifier_logits(model, values) > 0) == labels) > 0.95


def test_divergence_agrees_with_the_formula_and_is_0_for_the_unit_gaussian():
    mean, log_variance = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.5, -1.0], [0.0, 0.0]])
    expected = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=1)
    np.testing.assert_allclose(as_numpy(gaussian_divergence(mean, log_variance)), expected, rtol=1e-6)
    assert expected[1] == 0


def test_the_latent_is_the_mean_unless_training():
    mean, log_variance = np.ones((400, 3), np.float32), np.full((400, 3), np.log(0.25), np.float32)
    layer = GaussianLatent(kl_weight=2.0, seed=1)
    np.testing.assert_array_equal(as_numpy(layer(mean, log_variance)), mean)
    drawn = as_numpy(layer(mean, log_variance, training=True))
    assert drawn.std() == pytest.approx(0.5, rel=0.1)
    np.testing.assert_allclose(
        as_numpy(layer.losses[0]), 2.0 * as_numpy(gaussian_divergence(mean, log_variance)).mean(), rtol=1e-5
    )


def test_the_loss_of_the_autoencoder_is_error_plus_weighted_divergence():
    values = np.random.default_rng(0).normal(size=(16, 20)).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = build_autoencoder(20, n_latent=3, units=4, kl_weight=0.5)
    model.compile("sgd", jit_compile=False)
    mean, log_variance = (as_numpy(part) for part in model.encoder(values))
    error = np.mean((values - as_numpy(model(values, training=False))) ** 2)
    divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=1).mean()
    assert model.evaluate(values, verbose=0) == pytest.approx(error + 0.5 * divergence, rel=1e-5)


def test_encode_sample_reconstruct_and_decode_agree_on_shapes_and_seeds():
    values = np.random.default_rng(0).normal(size=(7, 20)).astype(np.float32)
    model = build_autoencoder(20, n_latent=3, units=4)
    latents = model.encode(values)
    assert latents.shape == (7, 3)
    np.testing.assert_allclose(model.reconstruct(values), model.decode(latents), atol=1e-6)
    assert model.sample(4, np.random.default_rng(1)).shape == (4, 20)
    np.testing.assert_array_equal(*(model.sample(4, np.random.default_rng(1)) for _ in range(2)))
    spread = model.encode(values, generator=np.random.default_rng(2)) - latents
    assert np.abs(spread).max() > 0
    with pytest.raises(ValueError, match=r"latents of shape \(n, 3\), received \(2, 5\)"):
        model.decode(np.zeros((2, 5)))


def test_the_toy_gives_every_one_hot_vector_its_own_place_in_two_dimensions():
    keras.utils.set_random_seed(0)
    values = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, 1600)]
    model = build_toy_autoencoder(4)
    losses = fit_autoencoder(model, values, epochs=12, batch_size=32, learning_rate=1e-2)
    assert losses[-1] < losses[0]
    every = np.eye(4, dtype=np.float32)
    assert model.reconstruct(every).argmax(axis=1).tolist() == [0, 1, 2, 3]
    places = model.encode(every)
    assert places.shape == (4, 2)
    assert np.linalg.norm(places[:, None] - places[None], axis=2)[~np.eye(4, dtype=bool)].min() > 0.5


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras saving TensorFlow variables
def test_both_networks_come_back_from_a_file(tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32)
    classifier = build_classifier(20, units=4, scale=feature_scale(values))
    classifier.save(tmp_path / "classifier.keras")
    again = keras.saving.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(classifier_logits(again, values), classifier_logits(classifier, values), atol=1e-6)
    model = build_autoencoder(20, n_latent=3, units=4)
    model(values)
    model.save(tmp_path / "autoencoder.keras")
    again = keras.saving.load_model(tmp_path / "autoencoder.keras")
    assert isinstance(again, VariationalAutoencoder)
    np.testing.assert_allclose(again.reconstruct(values), model.reconstruct(values), atol=1e-6)
