"""The bridge to the methods of pytorch-grad-cam, where it is installed."""
