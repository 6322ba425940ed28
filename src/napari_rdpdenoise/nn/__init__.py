"""Networks: analysis and synthesis transforms, gains, hyperprior. Imported only when a model is loaded."""
