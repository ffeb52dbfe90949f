"""The pieces that models are composed of."""
