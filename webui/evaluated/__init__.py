"""What an evaluation found, made for pages: forest plot, table of benchmarks, published scores."""
