"""What a run is downloaded as: tables of its series."""
