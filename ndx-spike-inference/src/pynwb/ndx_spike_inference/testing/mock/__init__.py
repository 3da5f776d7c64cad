"""Small valid objects of every type."""

from .spike_inference import mock_InferredSpikeRateSeries, mock_InferredSpikesTable, mock_SpikeInferenceModel

__all__ = ["mock_InferredSpikeRateSeries", "mock_InferredSpikesTable", "mock_SpikeInferenceModel"]
