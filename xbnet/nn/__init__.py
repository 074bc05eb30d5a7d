"""What a network computes: layers, activations and losses, forward and backward, over one array of parameters."""
