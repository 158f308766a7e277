"""Charts of a run as Plotly figures."""
