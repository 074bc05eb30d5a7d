"""Files of networks: models, exports to other programs, and predictions for the rows of a file."""
