"""The family of perturbation: what the score does when parts of the picture are hidden."""
