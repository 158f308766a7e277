"""Roles: map logged metrics to format reward, accuracy reward, completion length and so on."""
