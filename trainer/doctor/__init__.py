"""`cusp doctor`: what of this box a training or a worker would fail on, each as a sentence with the way out."""
