"""The family of decomposition: the score as a sum over heads and tokens."""
