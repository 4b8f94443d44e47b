"""Makes what is in models/: data, training and measuring, one command a model."""
