"""The family of gradients, at the pixels: integrated gradients, SmoothGrad, input x gradient."""
