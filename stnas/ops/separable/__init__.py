"""Half a separable convolution, of which the cells of a search by gradients are made."""
