"""The family of attention: what the class token gathers from where."""
