"""Roles: which logged metrics are the format reward, the accuracy, the length and so on."""
