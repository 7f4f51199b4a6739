"""The layers of stem and tail: dense convolutions, BN with its activation, the mean over pixels."""
