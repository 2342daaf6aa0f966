"""The model: which facts are counted, which tracks there are, and what brings a customer into a stage."""
