"""Derived facts about a run, without database access: durations, rejected parts, its sentence."""
