"""cusp"""
