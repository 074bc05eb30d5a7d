"""Networks: layers, activations and losses, forward and backward, over one array of parameters."""
