"""Whom does a model fail, by how much, and how sure are we? Label probes with statistics that hold."""
