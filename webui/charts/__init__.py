"""The charts of a run as Plotly figures."""
